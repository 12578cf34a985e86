"""Who is asking: a client of this department by its token, or a peer by the signature of its transport key."""

from starlette.requests import Request

from node.gate import url_of
from node.service import Node
from node.tokens import Principal, Role, require

PEER_ROLES: frozenset[Role] = frozenset({"read"})


def node_of(request: Request) -> Node:
    """Return the node that this request came to."""
    node: Node = request.app.state.node
    return node


def client(request: Request, role: Role) -> Principal:
    """Return the client of this department that asks.

    Raises:
        TokenError: no token, none that is known, or one without the role.
    """
    principal = node_of(request).tokens.identify(request.headers.get("authorization"))
    require(principal, role)
    return principal


def peer(request: Request, body: bytes = b"") -> Principal:
    """Return the peer that has signed this request.

    Raises:
        PeerAuthError: it is not signed, or not by a member.
    """
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.scope["headers"]]
    node = node_of(request)
    origin = node.gate.verify(request.method, url_of(request.scope), headers, body)
    node.hear(origin)
    return Principal(name=origin, roles=PEER_ROLES)


def reader(request: Request) -> Principal:
    """Return whoever may read the logs: a peer, or a client with the role.

    Raises:
        PeerAuthError, TokenError: it is neither.
    """
    return peer(request) if is_peer(request) else client(request, "read")


def is_peer(request: Request) -> bool:
    """Tell whether whoever asks says to be a peer; :func:`peer` checks it."""
    return "signature-input" in request.headers


def log_reader(request: Request) -> None:
    """Let pass who may read the logs' own resources: anyone where the network document opens them.

    Raises:
        PeerAuthError, TokenError: the reader is neither a member nor a client.
    """
    if not is_open(node_of(request)):
        reader(request)


def is_open(node: Node) -> bool:
    """Tell whether the network document lets anyone read the logs."""
    return node.network.body.access.read == "open"
