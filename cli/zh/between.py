"""What goes wrong between nodes, in Chinese: titles and hints of a peer's answers, of signed requests, of bodies."""

MESSAGES = {
    "body_broken_off": "请求不完整",
    "peer_failed": "其他节点出错",
    "peer_unreachable": "其他节点无法连接",
    "peer_slow": "其他节点过慢",
    "peer_busy": "其他节点繁忙",
    "peer_refused": "其他节点拒绝",
    "peer_too_long": "应答过长",
    "peer_compressed": "应答被压缩",
    "peer_malformed": "应答格式不符",
    "peer_false": "所给内容核验不通过",
    "peer_key_ended": "所给内容由已终止的密钥签名",
    "peer_withholds": "扣留账目",
    "peer_stale": "出示过时的头",
    "peer_has_other_size": "其他节点的长度不同",
    "peer_auth": "无法确认请求来自该成员",
    "peer_signature_missing": "请求没有签名",
    "peer_signature_malformed": "请求签名格式不符",
    "peer_signature_incomplete": "请求签名不完整",
    "peer_unknown": "未知的成员",
    "peer_signature_invalid": "请求签名无效",
    "peer_wrong_authority": "请求地址不符",
    "peer_signature_expired": "请求签名已过期",
    "peer_signature_replayed": "请求签名重复使用",
    "peer_digest_mismatch": "请求摘要不符",
    "wrong_old_size": "旧长度不符",
    "ask for a new token: suyuan token new": "请申请新令牌：suyuan token new",
    "both nodes must act under a network document that lists the peer: suyuan network show": (
        "双方节点所依的网络文件都须载有该成员：suyuan network show"
    ),
    "compare both clocks (chronyc tracking), and sign each request anew": (
        "请比对双方时钟（chronyc tracking），每个请求都重新签名"
    ),
    "compare the peer's transport key with the network document; a proxy must not change method, path or query": (
        "请把对方的传输密钥与网络文件比对；代理不得改动方法、路径或查询"
    ),
    "peers must use the URL that the network document gives for this node, host and port included": (
        "其他节点须使用网络文件写明的本节点地址，主机和端口均须相符"
    ),
    "peers sign their requests with the transport key that the network document gives: see docs/protocol.md": (
        "节点用网络文件写明的传输密钥签署请求：见 docs/protocol.md"
    ),
    "restore the file, or remove it and make new tokens with suyuan token new": (
        "请恢复该文件，或删除它并用 suyuan token new 生成新令牌"
    ),
    "send Authorization: Bearer sy_ and 43 characters, exactly as suyuan token new has printed it": (
        "请发送 Authorization: Bearer sy_ 和 43 个字符，与 suyuan token new 所显示的完全一致"
    ),
    "send Content-Digest with the sha-256 of the body as it travels, also of an empty one (RFC 9530)": (
        "请发送 Content-Digest，内容为所传正文的 sha-256，正文为空时亦然（RFC 9530）"
    ),
    "send JSON with Content-Type: application/json": "请以 Content-Type: application/json 发送 JSON",
    "send less at once: large transfers name a manifest, many events go in several batches": (
        "请减少一次发送的内容：大批量传输应引用清单，大量事件应分批发送"
    ),
    "send the whole body at once; the same event ids can safely be sent again": (
        "请一次发送完整正文；相同的事件编号可以放心重发"
    ),
    "sign each request anew, with a nonce of its own, also when it is only repeated": (
        "每个请求都须重新签名并使用新的随机数，重发时亦然"
    ),
    "sign the request with the transport key, or present a bearer token if you are the department's own client": (
        "请用传输密钥签署请求；若为本部门自己的客户端，请出示令牌"
    ),
    "suyuan peers shows which peers answer": "哪些节点有应答见 suyuan peers",
}
