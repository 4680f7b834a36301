"""Who asks for a token, proven by one method or several. What the token may reach is `scopes.py`.

The invariant: the owner of a credential, trust or token comes from storage, never from the request beside it.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct, structs
from sqlalchemy import ColumnElement, and_, select

from gureum.foundation import clock
from gureum.foundation.errors import BadRequest, Forbidden, NotFound, Unauthorized
from gureum.foundation.http.call import Call
from gureum.services.identity.application_credentials.model import ApplicationCredential
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.oauth.flow import proven_access
from gureum.services.identity.projects.model import ROOT
from gureum.services.identity.tokens.bodies import CredentialMethod, DomainRef, Identity, UserRef
from gureum.services.identity.tokens.facts import CredentialFacts, Facts
from gureum.services.identity.users import compliance
from gureum.services.identity.users.compliance import Standing
from gureum.services.identity.users.model import User
from gureum.services.identity.users.sign_in import SignedIn, account, concluded, sign_in, uncounted
from gureum.services.identity.users.totp import by_passcode


class Proof(Struct, frozen=True):
    """Who was proven, by which methods, and what earlier tokens pass on. A delegated proof is bound to its project.

    `standing` is the account's, when a secret that counts towards the lock-out was shown.
    """

    user_id: str
    methods: tuple[str, ...]
    expires_at: float
    chain: str | None = None
    credential_id: str | None = None
    project_id: str | None = None
    delegated: bool = False
    access_token_id: str | None = None
    standing: Standing | None = None


def proven(call: Call[IdentityDeps], identity: Identity) -> Proof:
    """Raises BadRequest for a method without its part, Unauthorized for what does not prove anybody."""
    proofs = []
    for method in dict.fromkeys(identity.methods):
        by = METHODS.get(method)
        if by is None:
            raise Unauthorized(internal=f"authentication method {method[:64]} is not offered")
        if getattr(identity, method) is None:
            raise BadRequest(f"Expecting to find {method} in identity. The server could not comply with the request.")
        proofs.append(by(call, identity))
    earlier = call.headers.get("openstack-auth-receipt")
    proof = joined(proofs)
    if earlier is None:
        return proof
    return joined([proof, structs.replace(proof, methods=_of_receipt(call, earlier, proof.user_id))])


def _of_receipt(call: Call[IdentityDeps], text: str, user_id: str) -> tuple[str, ...]:
    """The methods that an earlier request proved for the same user. Raises Unauthorized."""
    receipt = call.deps.receipts.open(text)
    ended = call.deps.tokens.revocations.revokes_user(receipt.user_id, receipt.issued_at)
    if receipt.user_id != user_id or ended:
        raise Unauthorized(internal="the receipt is another user's, or of before a change of the user's secrets")
    return receipt.methods


def joined(proofs: list[Proof]) -> Proof:
    """One proof of what several prove of one user."""
    if len(proofs) == 1:
        return proofs[0]
    if len({proof.user_id for proof in proofs}) != 1:
        raise Unauthorized(internal="the methods prove different users")
    if len({(p.credential_id, p.project_id, p.access_token_id) for p in proofs if p.delegated}) > 1:
        raise Unauthorized(internal="the methods prove different delegations")
    return Proof(
        proofs[0].user_id,
        tuple(dict.fromkeys(name for proof in proofs for name in proof.methods)),
        min(proof.expires_at for proof in proofs),
        next((proof.chain for proof in proofs if proof.chain), None),
        next((proof.credential_id for proof in proofs if proof.credential_id), None),
        next((proof.project_id for proof in proofs if proof.delegated), None),
        any(proof.delegated for proof in proofs),
        next((proof.access_token_id for proof in proofs if proof.access_token_id), None),
        next((proof.standing for proof in proofs if proof.standing), None),
    )


def _by_password(call: Call[IdentityDeps], identity: Identity) -> Proof:
    assert identity.password is not None
    user = identity.password.user
    if user.password is None or (user.id is None and (user.name is None or user.domain is None)):
        raise BadRequest("Expecting a user id, or a name with a domain, and a password.")
    picked = condition(call.deps.tokens.facts, user)
    proven = sign_in(call.database, call.deps, lambda _: picked, user.password)
    if compliance.is_expired(proven.standing, clock.utcnow()):
        raise Unauthorized("The password is expired and needs to be changed for user: " + proven.user_id)
    return _signed_in(call, proven, "password")


def _by_totp(call: Call[IdentityDeps], identity: Identity) -> Proof:
    assert identity.totp is not None
    user = identity.totp.user
    if user.passcode is None or (user.id is None and (user.name is None or user.domain is None)):
        raise BadRequest("Expecting a user id, or a name with a domain, and a passcode.")
    picked = condition(call.deps.tokens.facts, user)
    proven = by_passcode(call.database, call.deps, lambda _: picked, user.passcode)
    return _signed_in(call, proven, "totp")


def _signed_in(call: Call[IdentityDeps], user: SignedIn, method: str) -> Proof:
    return Proof(user.user_id, (method,), clock.now() + call.deps.tokens.lifetime_s, standing=user.standing)


def condition(facts: Facts, user: UserRef) -> ColumnElement[bool]:
    """What picks the user that a request names, by id or by name in a domain."""
    if user.id is not None:
        return User.id == user.id
    return and_(User.is_named(user.name or ""), User.domain_id == domain_id_of(facts, user.domain))


def domain_id_of(facts: Facts, domain: DomainRef | None) -> str | None:
    if domain is None or domain.id is not None:
        return domain.id if domain else None
    return facts.project_named(ROOT, domain.name) if domain.name is not None else None


def _by_token(call: Call[IdentityDeps], identity: Identity) -> Proof:
    assert identity.token is not None
    try:
        checked = call.deps.tokens.check(identity.token.id)
    except Unauthorized as error:
        raise NotFound("Could not find token.") from error
    payload = checked.payload
    if payload.trust_id is not None or payload.access_token_id is not None:
        raise Forbidden("A token of a trust or of OAuth makes no other token. Authenticate again instead.")
    return Proof(
        payload.user_id,
        (*payload.methods, "token") if "token" not in payload.methods else payload.methods,
        payload.expires_at,
        payload.audit_ids[-1],
        payload.application_credential_id,
        payload.project_id,
        delegated=checked.caller.is_delegated,
    )


def _by_credential(call: Call[IdentityDeps], identity: Identity) -> Proof:
    given = identity.application_credential
    assert given is not None
    tokens = call.deps.tokens
    credential_id = _credential_named(call, given) if given.id is None else given.id
    credential = tokens.facts.credential(credential_id) if credential_id else None
    standing = _secret_shown(call, given, credential)
    if credential is None:
        raise Unauthorized
    expires = clock.now() + tokens.lifetime_s
    if credential.expires_at is not None:
        expires = min(expires, credential.expires_at)
    return Proof(
        credential.user_id,
        ("application_credential",),
        expires,
        credential_id=credential.id,
        project_id=credential.project_id,
        delegated=True,
        standing=standing,
    )


def _credential_named(call: Call[IdentityDeps], given: CredentialMethod) -> str | None:
    if given.name is None or given.user is None:
        raise BadRequest("Expecting an application credential id, or a name with a user.")
    owner = condition(call.deps.tokens.facts, given.user)
    named = select(ApplicationCredential.id).join(User, User.id == ApplicationCredential.user_id)
    with call.database.read() as tx:
        return tx.scalar(named.where(owner, ApplicationCredential.name == given.name))


def _secret_shown(
    call: Call[IdentityDeps], given: CredentialMethod, credential: CredentialFacts | None
) -> Standing | None:
    """Compare a secret with the credential's. Raises Unauthorized.

    A secret that a person chose can be guessed, so it counts towards the owner's lock-out. One that the cloud made
    has 512 random bits: it is compared at once, and wrong ones lock nobody out. A refusal of a credential that was
    asked for by name costs one slow hash and one commit whatever the reason: names can be guessed too, ids cannot.
    """
    passwords, secret = call.deps.passwords, given.secret
    if credential is not None and not passwords.is_made_secret(credential.secret_hash):
        owner = account(call.database, lambda _: User.id == credential.user_id)
        fits = passwords.fits(secret, credential.secret_hash)
        return concluded(call.database, call.deps, owner, fits=fits).standing
    if credential is None or not passwords.secret_fits(secret, credential.secret_hash):
        if given.id is None:
            passwords.fits(secret, None)
            raise uncounted(call.database, call.deps.options, "no such application credential, or not its secret")
        raise Unauthorized
    return None


def _by_oauth(call: Call[IdentityDeps], _identity: Identity) -> Proof:
    access = proven_access(call)
    ends = min(clock.now() + call.deps.tokens.lifetime_s, clock.seconds(access.expires_at))
    project = access.project_id
    return Proof(access.user_id, ("oauth1",), ends, project_id=project, delegated=True, access_token_id=access.id)


METHODS: dict[str, Callable[[Call[IdentityDeps], Identity], Proof]] = {
    "password": _by_password,
    "totp": _by_totp,
    "token": _by_token,
    "application_credential": _by_credential,
    "oauth1": _by_oauth,
}
