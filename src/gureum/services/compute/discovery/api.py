"""Version documents and the list of extensions. Sources: compute API reference, "API versions", "Extensions".

Extensions are obsolete: all are always enabled, and the list is for clients that still ask for it.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from gureum.foundation.errors import NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.microversions import Version, text
from gureum.foundation.http.routes import PUBLIC, Route
from gureum.foundation.http.views import Link, View
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps

MINIMUM: Version = (2, 1)
MAXIMUM: Version = (2, 96)
_RULE = "os_compute_api:extensions"

RULES = (Rule(_RULE, "rule:any_authenticated", "List extensions and show one", unbounded="the same for every project"),)

_EXTENSIONS = {
    "NMN": ("Multinic", "Fixed addresses added to and taken from servers"),
    "OS-DCF": ("DiskConfig", "How a root disk is partitioned"),
    "OS-EXT-AZ": ("ExtendedAvailabilityZone", "The zone of a server"),
    "OS-EXT-IPS": ("ExtendedIps", "The kinds of a server's addresses"),
    "OS-EXT-IPS-MAC": ("ExtendedIpsMac", "The MAC addresses of a server"),
    "OS-EXT-SRV-ATTR": ("ExtendedServerAttributes", "Where a server is"),
    "OS-EXT-STS": ("ExtendedStatus", "The states of a server"),
    "OS-FLV-DISABLED": ("FlavorDisabled", "Whether a flavor is disabled"),
    "OS-FLV-EXT-DATA": ("FlavorExtraData", "Ephemeral disks of flavors"),
    "OS-SCH-HNT": ("SchedulerHints", "Hints for the placement of a server"),
    "OS-SRV-USG": ("ServerUsage", "When a server was launched and ended"),
    "os-access-ips": ("AccessIPs", "Addresses at which a server is reached"),
    "os-admin-actions": ("AdminActions", "Actions of administrators on servers"),
    "os-aggregates": ("Aggregates", "Host aggregates"),
    "os-attach-interfaces": ("AttachInterfaces", "Port interfaces of servers"),
    "os-availability-zone": ("AvailabilityZone", "Availability zones"),
    "os-config-drive": ("ConfigDrive", "Config drives"),
    "os-console-output": ("ConsoleOutput", "Console logs"),
    "os-create-backup": ("CreateBackup", "Backups of servers"),
    "os-deferred-delete": ("DeferredDelete", "Deleting a server at once"),
    "os-extended-hypervisors": ("ExtendedHypervisors", "Addresses and states of hypervisors"),
    "os-extended-quotas": ("ExtendedQuotas", "Quotas given back to the defaults"),
    "os-extended-services": ("ExtendedServices", "Why a service is disabled"),
    "os-extended-services-delete": ("ExtendedServicesDelete", "Removing services"),
    "os-extended-status": ("ExtendedStatus", "The states of a server, in lists too"),
    "os-extended-volumes": ("ExtendedVolumes", "Volumes attached to a server"),
    "os-flavor-access": ("FlavorAccess", "Projects that may use a flavor"),
    "os-flavor-extra-specs": ("FlavorExtraSpecs", "Extra specs of flavors"),
    "os-flavor-manage": ("FlavorManage", "Making and removing flavors"),
    "os-flavor-rxtx": ("FlavorRxtx", "The bandwidth factor of flavors"),
    "os-flavor-swap": ("FlavorSwap", "Swap disks of flavors"),
    "os-hypervisor-status": ("HypervisorStatus", "Whether a hypervisor is up"),
    "os-hypervisors": ("Hypervisors", "Hypervisors"),
    "os-instance-actions": ("InstanceActions", "What was asked of a server"),
    "os-keypairs": ("Keypairs", "Keypairs"),
    "os-lock-server": ("LockServer", "Locking servers"),
    "os-multiple-create": ("MultipleCreate", "Several servers in one request"),
    "os-pause-server": ("PauseServer", "Pausing servers"),
    "os-personality": ("Personality", "Files for a server's guest"),
    "os-quota-class-sets": ("QuotaClasses", "Classes of quotas"),
    "os-quota-sets": ("Quotas", "Quotas of projects"),
    "os-security-groups": ("SecurityGroups", "Security groups"),
    "os-server-group-quotas": ("ServerGroupQuotas", "Quotas of server groups"),
    "os-server-groups": ("ServerGroups", "Server groups"),
    "os-server-list-multi-status": ("ServerListMultiStatus", "Lists of servers in one of several states"),
    "os-server-password": ("ServerPassword", "Passwords that guests post"),
    "os-server-sort-keys": ("ServerSortKeys", "Sorting lists of servers"),
    "os-server-start-stop": ("ServerStartStop", "Starting and stopping servers"),
    "os-services": ("Services", "Services"),
    "os-simple-tenant-usage": ("SimpleTenantUsage", "Usage reports"),
    "os-used-limits": ("UsedLimits", "What of the limits is used"),
    "os-used-limits-for-admin": ("UsedLimitsForAdmin", "The same of other projects"),
    "os-user-data": ("UserData", "User data"),
    "os-user-quotas": ("UserQuotas", "Quotas of users within a project"),
}
"""alias -> its name in the reference and what it is; of those that this cloud offers."""


class VersionView(View):
    id: str
    status: str
    version: str
    min_version: str
    updated: str
    links: list[Link]


class TypedLink(Link):
    type: str | UnsetType = UNSET


class MediaType(View):
    base: str
    type: str


class VersionDetail(View):
    id: str
    status: str
    version: str
    min_version: str
    updated: str
    links: list[TypedLink]
    media_types: list[MediaType] = field(name="media-types")


class ExtensionView(View):
    alias: str
    name: str
    description: str
    links: list[Link]
    namespace: str
    updated: str


def _current(call: Call[ComputeDeps]) -> VersionView:
    link = Link("self", f"{call.base_url}/v2.1/")
    return VersionView("v2.1", "CURRENT", text(MAXIMUM), text(MINIMUM), "2013-07-23T11:33:21Z", [link])


def _legacy(call: Call[ComputeDeps]) -> VersionView:
    """The API from before microversions: the first of them under another path."""
    return VersionView("v2.0", "SUPPORTED", "", "", "2011-01-21T11:33:21Z", [Link("self", f"{call.base_url}/v2/")])


def versions(call: Call[ComputeDeps]) -> list[VersionView]:
    return [_legacy(call), _current(call)]


def version(call: Call[ComputeDeps]) -> VersionDetail:
    return _described(_current(call), "2.1")


def legacy_version(call: Call[ComputeDeps]) -> VersionDetail:
    return _described(_legacy(call), "2")


def _described(view: VersionView, number: str) -> VersionDetail:
    links = [TypedLink(link.rel, link.href) for link in view.links]
    links.append(TypedLink("describedby", "https://docs.openstack.org/api-ref/compute/", "text/html"))
    kind = MediaType("application/json", f"application/vnd.openstack.compute+json;version={number}")
    return VersionDetail(view.id, view.status, view.version, view.min_version, view.updated, links, [kind])


def extensions(_call: Call[ComputeDeps]) -> list[ExtensionView]:
    return [_extension(alias) for alias in _EXTENSIONS]


def extension(_call: Call[ComputeDeps], alias: str) -> ExtensionView:
    if alias not in _EXTENSIONS:
        raise NotFound(f"Extension {alias[:64]} could not be found.")
    return _extension(alias)


def _extension(alias: str) -> ExtensionView:
    name, description = _EXTENSIONS[alias]
    namespace = "http://docs.openstack.org/compute/ext/fake_xml"
    return ExtensionView(alias, name, description, [], namespace, "2014-12-03T00:00:00Z")


ROUTES = (
    Route("GET", "/", versions, PUBLIC, envelope="versions", transaction="none"),
    Route("GET", "/v2.1", version, PUBLIC, envelope="version", transaction="none"),
    Route("GET", "/v2", legacy_version, PUBLIC, envelope="version", transaction="none"),
    Route("GET", "/v2.1/extensions", extensions, _RULE, envelope="extensions", transaction="none"),
    Route("GET", "/v2.1/extensions/{alias}", extension, _RULE, envelope="extension", transaction="none"),
)
