"""Properties that compute reads from images and flavors. Names are the compute service's own."""

from __future__ import annotations

from gureum.services.image.metadefs.common.shape import (
    AGGREGATE,
    FLAVOR,
    IMAGE,
    SERVER,
    VOLUME,
    Common,
    choice,
    number,
    on_both,
    text,
    yes_or_no,
)

_IMAGE_ONLY = ((IMAGE, "", ""), (VOLUME, "", "image"))

COMPUTE = (
    Common(
        "OS::Compute::Hypervisor",
        "Hypervisor selection",
        "Which kind of hypervisor, and which mode of it, an image is made for.",
        _IMAGE_ONLY,
        {
            "img_hv_type": choice("Hypervisor type", "The hypervisor that the image runs on.", "kvm", "qemu"),
            "img_hv_requested_version": text("Hypervisor version", "The versions that will do, e.g. >=6.0."),
            "vm_mode": choice("Mode", "How the guest meets the virtual machine.", "hvm"),
        },
    ),
    Common(
        "OS::Compute::VirtCPUTopology",
        "Processor topology",
        "How a server's processors look to its operating system: licences and schedulers may care.",
        on_both("hw"),
        {
            "cpu_sockets": number("Sockets", "Sockets that the guest sees.", minimum=1),
            "cpu_cores": number("Cores", "Cores in each socket.", minimum=1),
            "cpu_threads": number("Threads", "Threads in each core.", minimum=1),
            "cpu_max_sockets": number("Most sockets", "No more sockets than this.", minimum=1),
            "cpu_max_cores": number("Most cores", "No more cores in a socket than this.", minimum=1),
            "cpu_max_threads": number("Most threads", "No more threads in a core than this.", minimum=1),
        },
    ),
    Common(
        "OS::Compute::CPUPinning",
        "Processor pinning",
        "Whether a server's processors have host processors of their own.",
        on_both("hw"),
        {
            "cpu_policy": choice(
                "Policy", "Own host processors, shared ones, or some of each.", "shared", "dedicated", "mixed"
            ),
            "cpu_thread_policy": choice(
                "Thread policy", "What to do with a host core's other threads.", "prefer", "isolate", "require"
            ),
            "emulator_threads_policy": choice(
                "Emulator threads", "Where the emulator's own threads run.", "isolate", "share"
            ),
            "numa_nodes": number("NUMA nodes", "NUMA nodes that the guest sees.", minimum=1),
        },
    ),
    Common(
        "OS::Compute::GuestMemoryBacking",
        "Memory backing",
        "The pages that a server's memory is made of, and whether it is encrypted.",
        on_both("hw"),
        {
            "mem_page_size": text("Page size", "small, large, any, or a size such as 2MB or 1GB."),
            "locked_memory": yes_or_no("Locked memory", "Whether the host never swaps the memory out."),
            "mem_encryption": yes_or_no("Encrypted memory", "Whether the memory is hidden from the host."),
        },
    ),
    Common(
        "OS::Compute::GuestShutdownBehavior",
        "Shutdown",
        "How long a guest may take to shut itself down before its power goes.",
        _IMAGE_ONLY,
        {"os_shutdown_timeout": number("Shutdown timeout", "Seconds, none for at once.", minimum=0, default=60)},
    ),
    Common(
        "OS::Compute::LibvirtImage",
        "Virtual hardware",
        "The devices that a server made from the image has.",
        ((IMAGE, "hw_", ""), (VOLUME, "hw_", "image")),
        {
            "disk_bus": choice("Disk bus", "How disks are connected.", "virtio", "scsi", "sata", "ide", "usb", "fdc"),
            "cdrom_bus": choice(
                "Disc bus", "How optical drives are connected.", "sata", "ide", "scsi", "virtio", "usb"
            ),
            "scsi_model": choice("SCSI controller", "The model of it.", "virtio-scsi", "lsilogic", "buslogic"),
            "vif_model": choice(
                "Network card",
                "The model of it.",
                "virtio",
                "e1000",
                "e1000e",
                "rtl8139",
                "ne2k_pci",
                "pcnet",
                "vmxnet3",
            ),
            "vif_multiqueue_enabled": yes_or_no("Several queues", "Whether network cards have a queue a processor."),
            "video_model": choice(
                "Display", "The model of it.", "virtio", "vga", "cirrus", "qxl", "bochs", "ramfb", "none"
            ),
            "video_ram": number("Display memory", "MiB, at most what the flavor allows.", minimum=0),
            "input_bus": choice("Input bus", "How keyboard and tablet are connected.", "usb", "virtio"),
            "pointer_model": choice("Pointer", "A tablet keeps both pointers together.", "usbtablet"),
            "machine_type": text("Machine", "The machine that is emulated, e.g. q35."),
            "firmware_type": choice("Firmware", "What starts the guest.", "bios", "uefi"),
            "rescue_device": choice("Rescue device", "What a rescue image is.", "disk", "cdrom", "floppy"),
            "rescue_bus": choice(
                "Rescue bus", "How a rescue image is connected.", "virtio", "scsi", "sata", "ide", "usb"
            ),
            "qemu_guest_agent": choice("Guest agent", "Whether QEMU's agent runs within.", "yes", "no"),
            "time_hpet": yes_or_no("Event timer", "Whether there is a high precision event timer."),
            "boot_menu": yes_or_no("Boot menu", "Whether the firmware shows its menu."),
            "serial_port_count": number("Serial ports", "How many there are.", minimum=0),
            "pmu": yes_or_no("Performance counters", "Whether the guest may count events."),
        },
    ),
    Common(
        "OS::Compute::Libvirt",
        "Virtual hardware of a flavor",
        "What flavors say of the devices of their servers.",
        ((FLAVOR, "hw:", ""),),
        {
            "boot_menu": yes_or_no("Boot menu", "Whether the firmware shows its menu."),
            "serial_port_count": number("Serial ports", "How many there are.", minimum=0),
            "vif_multiqueue_enabled": yes_or_no("Several queues", "Whether network cards have a queue a processor."),
            "hide_hypervisor_id": yes_or_no("Hidden hypervisor", "Whether the guest cannot tell that it is one."),
            "pmu": yes_or_no("Performance counters", "Whether the guest may count events."),
        },
    ),
    Common(
        "OS::Compute::RandomNumberGenerator",
        "Random numbers",
        "A device that gives the guest entropy.",
        ((IMAGE, "hw_", ""), (VOLUME, "hw_", "image")),
        {"rng_model": choice("Model", "The device's model.", "virtio")},
    ),
    Common(
        "OS::Compute::FlavorRandomNumberGenerator",
        "Random numbers of a flavor",
        "How much entropy a server may take.",
        ((FLAVOR, "hw_rng:", ""),),
        {
            "allowed": yes_or_no("Allowed", "Whether there may be a device."),
            "rate_bytes": number("Bytes", "Bytes in a period.", minimum=0),
            "rate_period": number("Period", "Milliseconds.", minimum=0),
        },
    ),
    Common(
        "OS::Compute::Watchdog",
        "Watchdog",
        "What happens to a guest that hangs.",
        on_both("hw"),
        {"watchdog_action": choice("Action", "What the host does.", "disabled", "reset", "poweroff", "pause", "none")},
    ),
    Common(
        "OS::Compute::VTPM",
        "Trusted platform module",
        "A chip of its own that keeps the guest's secrets.",
        on_both("hw"),
        {
            "tpm_version": choice("Version", "The specification's version.", "1.2", "2.0"),
            "tpm_model": choice("Model", "How the guest sees it.", "tpm-tis", "tpm-crb"),
        },
    ),
    Common(
        "OS::Compute::SecureBoot",
        "Secure boot",
        "Whether firmware starts only what is signed.",
        ((IMAGE, "os_", ""), (FLAVOR, "os:", "")),
        {"secure_boot": choice("Secure boot", "How much it is wanted.", "required", "optional", "disabled")},
    ),
    Common(
        "OS::Compute::Quota",
        "Shares of a host",
        "What a server may take of its host's processors, disks and network.",
        ((FLAVOR, "", ""),),
        {},
        {
            "CPU limits": (
                "Processor time.",
                {
                    "quota:cpu_shares": number("Shares", "Weight against other servers."),
                    "quota:cpu_period": number("Period", "Microseconds.", minimum=1000, maximum=1000000),
                    "quota:cpu_quota": number("Quota", "Microseconds in each period; below 0 no bound."),
                },
            ),
            "Disk limits": (
                "Speed of disks.",
                {
                    "quota:disk_read_bytes_sec": number("Read bytes", "Bytes a second.", minimum=0),
                    "quota:disk_read_iops_sec": number("Reads", "Operations a second.", minimum=0),
                    "quota:disk_write_bytes_sec": number("Written bytes", "Bytes a second.", minimum=0),
                    "quota:disk_write_iops_sec": number("Writes", "Operations a second.", minimum=0),
                    "quota:disk_total_bytes_sec": number("All bytes", "Bytes a second.", minimum=0),
                    "quota:disk_total_iops_sec": number("All operations", "Operations a second.", minimum=0),
                },
            ),
            "Network limits": (
                "Speed of network cards.",
                {
                    "quota:vif_inbound_average": number("Inbound", "Kilobytes a second over time.", minimum=0),
                    "quota:vif_inbound_peak": number("Inbound peak", "Kilobytes a second at most.", minimum=0),
                    "quota:vif_inbound_burst": number("Inbound burst", "Kilobytes at peak speed.", minimum=0),
                    "quota:vif_outbound_average": number("Outbound", "Kilobytes a second over time.", minimum=0),
                    "quota:vif_outbound_peak": number("Outbound peak", "Kilobytes a second at most.", minimum=0),
                    "quota:vif_outbound_burst": number("Outbound burst", "Kilobytes at peak speed.", minimum=0),
                },
            ),
        },
    ),
    Common(
        "OS::Compute::HostCapabilities",
        "Host capabilities",
        "What a flavor asks of a host.",
        ((FLAVOR, "capabilities:", ""), (AGGREGATE, "aggregate_instance_extra_specs:", "")),
        {
            "cpu_info:vendor": text("Vendor", "The processor's maker.", operators=["<or>"]),
            "cpu_info:model": text("Model", "The processor's model.", operators=["<or>"]),
            "cpu_info:arch": text("Architecture", "The processor's instruction set.", operators=["<or>"]),
            "cpu_info:features": {
                "title": "Features",
                "description": "Flags that the processor has.",
                "type": "array",
                "operators": ["<in>", "<all-in>"],
                "items": {"type": "string"},
            },
        },
    ),
    Common(
        "OS::Compute::InstanceData",
        "Server facts",
        "What a project may note about a server.",
        ((SERVER, "", ""),),
        {"description": text("Description", "What the server is for.")},
    ),
)
