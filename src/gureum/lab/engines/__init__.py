"""The engines of a lab as declarative daemons: OVN's centre, the fabric between hosts, and what runs on a host."""
