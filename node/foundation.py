"""What a node is built on: settings, network document and keys that belong together, and a head file that fits."""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.errors import KeyEndedError, LedgerError
from ledger.merkle import TreeSize, root_hash
from ledger.network import Network
from ledger.note import Signer
from ledger.policy import POLICY_BYTES_MAX, Policy, parse_policy
from ledger.quorum import Judged, judge_checkpoint
from ledger.store import Store
from ledger.store.headfile import read_head
from ledger.versions import verify_chain
from node import logs
from node.config import Home
from node.errors import ConfigError, IntegrityAlarm
from node.foreign import witness_name
from node.keys import KeyRing, load_witness_key
from node.logs import LogState
from node.setup import ring_of

HEAD_HINT = "move the file aside, but keep it: without it the node asks its peers what it has signed"


@dataclass(frozen=True, slots=True)
class Foundation:
    """What a node is built on, checked."""

    home: Home
    network: Network
    network_document: bytes
    ring: KeyRing
    load_ring: Callable[[], KeyRing] | None = None  # looks again which keys there are
    witness_key: Signer | None = None  # there if the settings name foreign logs


def load_foundation(home: Home) -> Foundation:
    """Return settings, network and keys, after checking that they belong together.

    Raises:
        ConfigError: one of them is missing, damaged, or of another department.
        VerificationError: the network document does not lead back to the pinned fingerprint.
    """
    network, document = load_network(home)
    ring = ring_of(home)
    member = network.members.get(home.settings.origin)
    if member is None:
        raise ConfigError(
            f"network {network.name} version {network.version} has no member {home.settings.origin}", field="origin"
        )
    ring.select(member)
    return Foundation(home, network, document, ring, lambda: ring_of(home), load_witness(home))


def load_witness(home: Home) -> Signer | None:
    """Return the key that cosigns foreign logs, if the settings name any.

    Raises:
        ConfigError: it is not there, or cannot be used.
    """
    return load_witness_key(home.keys, witness_name(home.settings), home.lock) if home.settings.witnessed else None


def load_policy(home: Home) -> Policy | None:
    """Return the policy whose witnesses are asked to cosign the own log, if the settings name one.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    if home.settings.witness_policy is None:
        return None
    path = home.path(home.settings.witness_policy)
    try:
        with path.open("rb") as file:
            return parse_policy(file.read(POLICY_BYTES_MAX + 1))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", field=str(path)) from None
    except LedgerError as error:
        raise ConfigError(f"no policy: {error}", field=str(path)) from None


def load_network(home: Home) -> tuple[Network, bytes]:
    """Return a home's network document, verified back to the pinned fingerprint.

    Raises:
        ConfigError: it is missing, or no fingerprint is pinned.
        VerificationError, MalformedError: it does not verify.
    """
    if home.settings.fingerprint is None:
        raise ConfigError(
            "no network is joined yet: the fingerprint is not set", field="fingerprint",
            hint="suyuan init DIR --network FILE --fingerprint HEX",
        )  # fmt: skip
    try:
        document = home.network.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", field=str(home.network)) from None
    return verify_chain(document, home.settings.fingerprint), document


def check_head(home: Home, store: Store, state: LogState, network: Network) -> Judged | None:
    """Return the newest checkpoint that was ever signed here, as the head file has it, compared with the store.

    The store may be older than it, or lost: then the node only reads until its peers have given back what it lacks. A
    head file that is gone is written again with the next checkpoint; what was signed meanwhile, the peers remember.

    Raises:
        IntegrityAlarm: the head file is damaged or another log's, or the store holds another history.
    """
    data = read_head(home.head)
    if data is None:
        return state.checkpoint
    try:
        if logs.is_void(data, network):  # the governors have ruled since
            return state.checkpoint
        signed = judge_checkpoint(data, network)
    except KeyEndedError:  # void, and said so by find_ended where entries are
        return state.checkpoint
    except LedgerError as error:
        raise IntegrityAlarm(f"the head file is damaged: {error}", field=str(home.head), hint=HEAD_HINT) from None
    if signed.checkpoint.origin != state.origin:
        words = f"the head file is that of {signed.checkpoint.origin}"
        raise IntegrityAlarm(words, field=str(home.head), hint=HEAD_HINT)
    if signed.size > state.size:
        return signed
    if root_hash(logs.hash_reader(store, state, signed.size), TreeSize(signed.size)) != signed.checkpoint.root:
        raise IntegrityAlarm(
            f"the store holds another history than the checkpoint of size {signed.size}", field=state.origin
        )
    return signed
