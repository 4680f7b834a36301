"""One of each noun of the project `alpha-one` and of the domain `alpha`: name -> id, for the paths and bodies of requests."""

from __future__ import annotations

from typing import Any

from tests.api.client import Client
from tests.api.identity.test_oauth import Program, pair
from tests.api.policy_matrix.personas import ALPHA, OWN_PROJECT, V3, People, Persona
from tests.api.security.everything import PUBLIC_KEY
from tests.cloud import SimulatedCloud

NET, COMPUTE, IMAGE, PLACEMENT = "/network/v2.0", "/compute/v2.1", "/image/v2", "/placement"
V = {"OpenStack_API_Version": "compute 2.79"}


def new(client: Client, url: str, body: Any, *keys: str) -> Any:
    """Make something through the API; `keys` lead to its id in the answer."""
    versions = {"OpenStack_API_Version": "placement 1.39" if url.startswith(PLACEMENT) else V["OpenStack_API_Version"]}
    answer = client.post(url, body, **versions)
    assert answer.status in (200, 201, 202), (url, answer.content)
    made = answer.json() if keys else None
    for key in keys:
        made = made[key]
    return made


def put(client: Client, url: str, body: Any = None, **headers: str) -> Any:
    answer = client.put(url, body, **headers)
    assert answer.status in (200, 201, 204), (url, answer.content)
    return answer


class Things:
    """`owner` is the member of the project who owns what users own. `ids` has everything; `private` what is alpha's."""

    def __init__(self, cloud: SimulatedCloud, people: People, personas: list[Persona]) -> None:
        self._cloud, self._people, self._admin = cloud, people, people.admin
        (self.owner,) = (persona for persona in personas if (persona.place, persona.letter) == (OWN_PROJECT, "m"))
        self.ids: dict[str, str] = {
            "project_id": people.projects["alpha-one"],
            "other_project": people.projects["alpha-two"],
            "member_id": people.projects["alpha-third"],
            "domain_id": people.domains[ALPHA],
            "user_id": self.owner.user_id,
            "owner_token": self.owner.client.headers["X-Auth-Token"],
            "administrator": next(who.user_id for who in personas if (who.place, who.letter) == (OWN_PROJECT, "a")),
            "public_key": PUBLIC_KEY,
        }
        self._identity()
        self._delegations()
        self._images()
        self._network()
        self._compute()
        self._placement()
        cloud.settle()

    def _identity(self) -> None:
        ids, admin, people = self.ids, self._admin, self._people
        domain_id = ids["domain_id"]
        ids["group_id"] = people.new("groups", "group", {"name": "alpha-group", "domain_id": domain_id})
        put(admin, f"{V3}/groups/{ids['group_id']}/users/{ids['user_id']}")
        ids["removable_user"] = people.user("alpha-plain", ALPHA)
        ids["system_user"] = people.user("alpha-system-user", ALPHA)
        ids["system_group"] = people.new("groups", "group", {"name": "alpha-system-group", "domain_id": domain_id})
        ids["member_role"], ids["reader_role"] = people.roles["member"], people.roles["reader"]
        body = {"name": "alpha-role", "domain_id": domain_id}
        ids["domain_role"] = people.new("roles", "role", body)
        ids["role_id"] = people.new("roles", "role", {"name": "custom"})
        ids["service_role"] = people.roles["service"]
        ids["mighty_role"] = people.new("roles", "role", {"name": "mighty"})
        put(admin, f"{V3}/roles/{ids['mighty_role']}/implies/{people.roles['service']}")
        ids["implied_id"] = people.new("roles", "role", {"name": "implied"})
        put(admin, f"{V3}/roles/{ids['role_id']}/implies/{ids['implied_id']}")
        ids["admin_role"], ids["new_region"] = people.roles["admin"], "new"
        ids["administrators"] = people.new("groups", "group", {"name": "alpha-admins", "domain_id": domain_id})
        put(admin, f"{V3}/projects/{ids['project_id']}/groups/{ids['administrators']}/roles/{ids['admin_role']}")
        ids["disabled_domain"] = people.new("domains", "domain", {"name": "disabled", "enabled": False})
        ids["disabled_project"] = people.new(
            "projects", "project", {"name": "alpha-off", "domain_id": domain_id, "enabled": False}
        )
        ids["default_domain"], ids["minimum"], ids["fresh_tag"] = "default", "password_regex", "fresh"
        for target in (f"projects/{ids['project_id']}", f"domains/{domain_id}"):
            for actor in (f"users/{ids['user_id']}", f"groups/{ids['group_id']}"):
                put(admin, f"{V3}/{target}/{actor}/roles/{ids['member_role']}")
                put(admin, f"{V3}/OS-INHERIT/{target}/{actor}/roles/{ids['member_role']}/inherited_to_projects")
        for actor in (f"users/{ids['system_user']}", f"groups/{ids['system_group']}"):
            put(admin, f"{V3}/system/{actor}/roles/{ids['reader_role']}")
        put(admin, f"{V3}/projects/{ids['project_id']}/tags/tag")
        config = {"config": {"identity": {"driver": "ldap"}, "ldap": {"url": "ldap://there"}}}
        put(admin, f"{V3}/domains/{domain_id}/config", config)
        ids |= {"group": "ldap", "option": "url", "tag": "tag"}
        self._catalog()
        # A role that was granted anew has made the tokens of its holders look again, not end.
        self.owner_client = self.owner.client

    def _catalog(self) -> None:
        ids, admin, people = self.ids, self._admin, self._people
        ids["region_id"] = people.new("regions", "region", {"id": "elsewhere"})
        ids["service_id"] = people.new("services", "service", {"type": "extra", "name": "extra"})
        ids["free_region"] = people.new("regions", "region", {"id": "nowhere"})
        ids["free_service"] = people.new("services", "service", {"type": "unused", "name": "unused"})
        endpoint = {
            "service_id": ids["service_id"],
            "interface": "public",
            "url": "http://extra",
            "region_id": "elsewhere",
        }
        ids["endpoint_id"] = people.new("endpoints", "endpoint", endpoint)
        ids["policy_id"] = people.new("policies", "policy", {"type": "application/json", "blob": "{}"})
        association = f"{V3}/policies/{ids['policy_id']}/OS-ENDPOINT-POLICY"
        put(admin, f"{association}/services/{ids['service_id']}/regions/{ids['region_id']}")
        put(admin, f"{association}/services/{ids['service_id']}")
        put(admin, f"{association}/endpoints/{ids['endpoint_id']}")
        body = {"endpoint_group": {"name": "extra", "filters": {"interface": "admin"}}}
        ids["endpoint_group"] = new(admin, f"{V3}/OS-EP-FILTER/endpoint_groups", body, "endpoint_group", "id")
        put(admin, f"{V3}/OS-EP-FILTER/endpoint_groups/{ids['endpoint_group']}/projects/{ids['project_id']}")
        put(admin, f"{V3}/OS-EP-FILTER/projects/{ids['project_id']}/endpoints/{ids['endpoint_id']}")
        limit = {"service_id": ids["service_id"], "resource_name": "things"}
        body = {
            "registered_limits": [
                {**limit, "default_limit": 10},
                {**limit, "resource_name": "free", "default_limit": 1},
            ]
        }
        made = new(admin, f"{V3}/registered_limits", body, "registered_limits")
        ids["registered_limit"] = next(row["id"] for row in made if row["resource_name"] == "free")
        body = {"limits": [{**limit, "resource_limit": 5, "project_id": ids["project_id"]}]}
        ids["limit_id"] = new(admin, f"{V3}/limits", body, "limits")[0]["id"]

    def _delegations(self) -> None:
        ids, owner = self.ids, self.owner_client
        base = f"{V3}/users/{ids['user_id']}"
        rules = [{"service": "compute", "method": "GET", "path": "/v2.1/servers"}]
        body = {"application_credential": {"name": "alpha-robot", "access_rules": rules}}
        ids["application_credential"] = new(
            owner, f"{base}/application_credentials", body, "application_credential", "id"
        )
        ids["access_rule"] = owner.get(f"{base}/access_rules").json()["access_rules"][0]["id"]
        rules = [{"service": "compute", "method": "GET", "path": "/v2.1/flavors"}]
        body = {"application_credential": {"name": "alpha-gone", "access_rules": rules}}
        gone = new(owner, f"{base}/application_credentials", body, "application_credential", "id")
        assert owner.delete(f"{base}/application_credentials/{gone}").status == 204
        rules = owner.get(f"{base}/access_rules").json()["access_rules"]
        ids["free_access_rule"] = next(row["id"] for row in rules if row["id"] != ids["access_rule"])
        blob = {"type": "cert", "blob": "alpha-secret", "user_id": ids["user_id"]}
        ids["credential_id"] = new(owner, f"{V3}/credentials", {"credential": blob}, "credential", "id")
        ec2 = new(owner, f"{base}/credentials/OS-EC2", {"tenant_id": ids["project_id"]}, "credential")
        ids["access"], ids["secret"] = ec2["access"], ec2["secret"]
        ids["trustee"] = self._people.user("alpha-trustee", ALPHA)
        trust = {
            "trustor_user_id": ids["user_id"],
            "trustee_user_id": ids["trustee"],
            "impersonation": True,
            "project_id": ids["project_id"],
            "roles": [{"id": ids["member_role"]}],
        }
        ids["trust_id"] = new(owner, f"{V3}/OS-TRUST/trusts", {"trust": trust}, "trust", "id")
        self._oauth()

    def _oauth(self) -> None:
        ids, owner = self.ids, self.owner_client

        class World:
            anonymous = Client(self._cloud.control.app)
            client = staticmethod(lambda: self._admin)

        program = Program(World)
        url = f"{V3}/OS-OAUTH1"
        host = self._cloud.control.app.public_url

        def request_token() -> tuple[str, str]:
            header = program.sign("POST", f"{url}/request_token", host=host)
            return pair(
                World.anonymous.post(
                    f"{url}/request_token", Authorization=header, Requested_Project_Id=ids["project_id"]
                )
            )

        ids["oauth_consumer"] = program.consumer["id"]
        token = request_token()
        said = put(owner, f"{url}/authorize/{token[0]}", {"roles": [{"id": ids["member_role"]}]})
        verifier = said.json()["token"]["oauth_verifier"]
        header = program.sign("POST", f"{url}/access_token", token, host=host, oauth_verifier=verifier)
        access = pair(World.anonymous.post(f"{url}/access_token", Authorization=header))
        ids["access_token"] = access[0]
        tokens = f"{V3}/auth/tokens"
        body = {"auth": {"identity": {"methods": ["oauth1"], "oauth1": {}}}}
        answer = World.anonymous.post(tokens, body, Authorization=program.sign("POST", tokens, access, host=host))
        assert answer.status == 201, answer.content
        self.oauth_client = Client(World.anonymous.app, {"X-Auth-Token": answer.headers["x-subject-token"]})
        ids["request_token_id"] = request_token()[0]

    def _images(self) -> None:
        ids, owner, admin = self.ids, self.owner_client, self._admin
        plain = {"disk_format": "raw", "container_format": "bare"}
        for key, name in (
            ("image_id", "alpha-image"),
            ("queued_image", "alpha-queued"),
            ("inactive_image", "alpha-off"),
        ):
            ids[key] = new(owner, f"{IMAGE}/images", {"name": name, **plain, "tags": ["tag"]}, "id")
        for key in ("image_id", "inactive_image"):
            sent = owner.request(
                "PUT", f"{IMAGE}/images/{ids[key]}/file", raw=bytes(1 << 16), content_type="application/octet-stream"
            )
            assert sent.status == 204, sent.content
        new(owner, f"{IMAGE}/images/{ids['image_id']}/members", {"member": ids["member_id"]})
        answer = owner.post(f"{IMAGE}/images/{ids['inactive_image']}/actions/deactivate")
        assert answer.status == 204, answer.content
        ids["store_id"] = owner.get(f"{IMAGE}/info/stores").json()["stores"][0]["id"]
        task = {
            "type": "import",
            "input": {"import_from": "http://127.0.0.1/x", "import_from_format": "raw", "image_properties": plain},
        }
        ids["task_id"] = new(admin, f"{IMAGE}/tasks", task, "id")
        self._definitions()
        ids["public_image"] = self._cloud.image("common")

    def _definitions(self) -> None:
        ids, admin = self.ids, self._admin
        root = f"{IMAGE}/metadefs/namespaces"
        space = {"namespace": "alpha-space", "visibility": "private", "owner": ids["project_id"]}
        new(admin, root, space)
        new(admin, f"{root}/alpha-space/objects", {"name": "alpha-object"})
        new(admin, f"{root}/alpha-space/properties", {"name": "alpha-property", "title": "t", "type": "string"})
        new(admin, f"{root}/alpha-space/tags", {"tags": [{"name": "alpha-tag"}]})
        new(admin, f"{root}/alpha-space/resource_types", {"name": "extra-type"})
        ids |= {"namespace_name": "alpha-space", "object_name": "alpha-object", "property_name": "alpha-property"}
        ids |= {"tag_name": "alpha-tag", "type_name": "extra-type"}

    def _network(self) -> None:
        ids, owner = self.ids, self.owner_client
        ids["network_id"] = new(owner, f"{NET}/networks", {"network": {"name": "alpha-net"}}, "network", "id")
        subnet = {"network_id": ids["network_id"], "ip_version": 4, "cidr": "10.0.0.0/24", "name": "alpha-subnet"}
        ids["subnet_id"] = new(owner, f"{NET}/subnets", {"subnet": subnet}, "subnet", "id")
        networks = owner.get(f"{NET}/networks").json()["networks"]
        ids["public_network"] = next(row["id"] for row in networks if row["router:external"])
        gateway = {"name": "alpha-router", "external_gateway_info": {"network_id": ids["public_network"]}}
        ids["router_id"] = new(owner, f"{NET}/routers", {"router": gateway}, "router", "id")
        put(owner, f"{NET}/routers/{ids['router_id']}/add_router_interface", {"subnet_id": ids["subnet_id"]})
        ids["free_network"] = new(owner, f"{NET}/networks", {"network": {"name": "alpha-free"}}, "network", "id")
        subnet |= {"network_id": ids["free_network"], "cidr": "10.1.0.0/24", "name": "alpha-free-subnet"}
        ids["free_subnet"] = new(owner, f"{NET}/subnets", {"subnet": subnet}, "subnet", "id")
        ids["free_router"] = new(owner, f"{NET}/routers", {"router": {"name": "alpha-r2"}}, "router", "id")
        group = {"security_group": {"name": "alpha-sg"}}
        ids["security_group"] = new(owner, f"{NET}/security-groups", group, "security_group", "id")
        group = {"security_group": {"name": "alpha-free-sg"}}
        ids["free_group"] = new(owner, f"{NET}/security-groups", group, "security_group", "id")
        rules = owner.get(f"{NET}/security-group-rules?security_group_id={ids['security_group']}").json()
        ids["security_rule"] = rules["security_group_rules"][0]["id"]
        for key in ("port_id", "server_port", "plug_port"):
            port = {"network_id": ids["network_id"], "name": "alpha-port", "security_groups": [ids["security_group"]]}
            ids[key] = new(owner, f"{NET}/ports", {"port": port}, "port", "id")
        floating = {"floating_network_id": ids["public_network"], "description": "alpha-floating"}
        ids["floatingip_id"] = new(owner, f"{NET}/floatingips", {"floatingip": floating}, "floatingip", "id")
        for plural, key in TAGGED.items():
            put(owner, f"{NET}/{plural}/{ids[key]}/tags/tag")

    def _compute(self) -> None:
        ids, owner, admin = self.ids, self.owner_client, self._admin
        flavor = {
            "name": "alpha-flavor",
            "ram": 64,
            "vcpus": 1,
            "disk": 1,
            "id": "alpha-flavor",
            "os-flavor-access:is_public": False,
        }
        ids["flavor_id"] = new(admin, f"{COMPUTE}/flavors", {"flavor": flavor}, "flavor", "id")
        access = {"addTenantAccess": {"tenant": ids["project_id"]}}
        new(admin, f"{COMPUTE}/flavors/{ids['flavor_id']}/action", access)
        new(admin, f"{COMPUTE}/flavors/{ids['flavor_id']}/os-extra_specs", {"extra_specs": {"hw:numa_nodes": "1"}})
        new(admin, f"{COMPUTE}/flavors/{ids['flavor_id']}/os-extra_specs", {"extra_specs": {"spare": "1"}})
        ids["spec"] = "spare"
        zero = {"name": "zero", "ram": 64, "vcpus": 1, "disk": 0, "id": "zero-disk"}
        ids["zero_flavor"] = new(admin, f"{COMPUTE}/flavors", {"flavor": zero}, "flavor", "id")
        body = {"server_group": {"name": "alpha-together", "policy": "soft-affinity"}}
        ids["server_group"] = new(owner, f"{COMPUTE}/os-server-groups", body, "server_group", "id")
        body = {"keypair": {"name": "alpha-key", "public_key": PUBLIC_KEY, "type": "ssh"}}
        ids["keypair"] = new(owner, f"{COMPUTE}/os-keypairs", body, "keypair", "name")
        ids["aggregate_id"] = str(
            new(admin, f"{COMPUTE}/os-aggregates", {"aggregate": {"name": "a"}}, "aggregate", "id")
        )
        ids["server_id"] = self._cloud.server(
            owner,
            name="alpha-server",
            imageRef=ids["public_image"],
            networks=[{"port": ids["server_port"]}],
            tags=["tag"],
            metadata={"key": "alpha-value"},
        )
        self._cloud.settle()
        server = f"{COMPUTE}/servers/{ids['server_id']}"
        ids["request_id"] = owner.get(f"{server}/os-instance-actions").json()["instanceActions"][0]["request_id"]
        ids["network"] = "alpha-net"
        ids["key"] = "key"
        row = admin.get(f"{COMPUTE}/os-hypervisors/detail", **V).json()["hypervisors"][0]
        ids["hypervisor_id"], ids["host"] = row["id"], row["service"]["host"]
        ids["pattern"] = ids["host"][:3]
        ids["compute_service"] = row["service"]["id"]

    def _placement(self) -> None:
        ids, admin = self.ids, self._admin
        body = {"name": "spare-provider"}
        ids["uuid"] = new(admin, f"{PLACEMENT}/resource_providers", body, "uuid")
        inventory = {"inventories": {"VCPU": {"total": 8}}, "resource_provider_generation": 0}
        put(admin, f"{PLACEMENT}/resource_providers/{ids['uuid']}/inventories", inventory)
        put(admin, f"{PLACEMENT}/traits/CUSTOM_SPARE", OpenStack_API_Version="placement 1.39")
        put(admin, f"{PLACEMENT}/resource_classes/CUSTOM_SPARE", OpenStack_API_Version="placement 1.39")
        ids |= {"resource_class": "VCPU", "custom": "CUSTOM_SPARE", "consumer_id": ids["server_id"]}


TAGGED = {
    "networks": "network_id",
    "subnets": "subnet_id",
    "ports": "port_id",
    "routers": "router_id",
    "security-groups": "security_group",
    "floatingips": "floatingip_id",
}
SHARED = frozenset(
    """admin_role zero_flavor service_role mighty_role default_domain minimum free_region free_service new_region public_key role_id implied_id member_role reader_role disabled_domain group option tag region_id service_id endpoint_id
    policy_id endpoint_group registered_limit consumer_id oauth_consumer store_id type_name task_id public_image public_network spec key host
    hypervisor_id pattern compute_service aggregate_id uuid resource_class custom other_project""".split()
)
"""What is the cloud's, or not alpha-one's: its ids are no secret of the project."""
