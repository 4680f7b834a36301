"""Properties that describe what is within an image, and kinds of volumes. Names are the field's own."""

from __future__ import annotations

from gureum.services.image.metadefs.common.shape import IMAGE, SHARED_TYPE, VOLUME, Common, choice, text, yes_or_no

IMAGES = (
    Common(
        "OS::Glance::CommonImageProperties",
        "Image properties",
        "What most images say of themselves.",
        ((IMAGE, "", ""),),
        {
            "kernel_id": text("Kernel", "The image that holds the kernel to start."),
            "ramdisk_id": text("Ramdisk", "The image that holds the first root file system."),
            "instance_uuid": text("Server", "The server that the image was made from."),
            "architecture": text("Architecture", "The instruction set, e.g. x86_64 or aarch64."),
            "os_distro": text("Distribution", "The operating system's short name, in lower case."),
            "os_version": text("Version", "The distribution's version."),
            "description": text("Description", "What the image is for."),
        },
    ),
    Common(
        "OS::OperatingSystem",
        "Operating system",
        "What system is within, and what it needs.",
        ((IMAGE, "", ""), (VOLUME, "", "image")),
        {
            "os_type": choice("Kind", "The family of the system.", "linux", "windows"),
            "os_admin_user": text("Administrator", "The user that a password is set for."),
            "os_require_quiesce": yes_or_no("Quiet snapshots", "Whether a snapshot must be made with files at rest."),
            "os_command_line": text("Kernel words", "What is added to the kernel's command line."),
        },
    ),
    Common(
        "OS::Glance::Signatures",
        "Image signatures",
        "How an image's origin is proved.",
        ((IMAGE, "", ""),),
        {
            "img_signature": text("Signature", "Over the image's data, in base 64."),
            "img_signature_certificate_uuid": text("Certificate", "The certificate's id in the key service."),
            "img_signature_hash_method": choice("Hash", "What was signed.", "SHA-224", "SHA-256", "SHA-384", "SHA-512"),
            "img_signature_key_type": choice(
                "Key", "What signed it.", "RSA-PSS", "DSA", "ECC_SECP521R1", "ECC_SECP384R1", "ECC_SECT571K1"
            ),
        },
    ),
    Common(
        "OS::Cinder::Volumetype",
        "Kinds of volumes",
        "What a kind of volumes can do.",
        ((SHARED_TYPE, "", ""),),
        {
            "volume_backend_name": text("Back end", "The back end that holds such volumes."),
            "multiattach": text(
                "Several servers", "<is> True where several servers may have the volume.", operators=["<is>"]
            ),
            "replication_enabled": text("Replicated", "<is> True where there is a second copy.", operators=["<is>"]),
            "availability_zones": text("Zones", "The zones in which such volumes may be."),
        },
    ),
)
