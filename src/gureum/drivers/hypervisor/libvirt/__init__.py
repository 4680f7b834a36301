"""QEMU guests through libvirt. The words *domain* and *interface* in libvirt's sense stay inside this folder."""
