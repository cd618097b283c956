#include "agent/server/websocket_handshake.hpp"

#include <algorithm>

#include "agent/server/field_list.hpp"

namespace signalbox::server {

namespace {

bool lists(const Request& request, std::string_view field, std::string_view word) {
    bool found = false;
    for (const Headers::Field& given : request.headers)
        if (same_word(given.name, field))
            for_each_member(given.value,
                            [&](std::string_view member) { found = found || same_word(member, word); });
    return found;
}

std::string_view value_of(const Request& request, std::string_view field) {
    return request.headers.find(field).value_or(std::string_view());
}

bool is_base64(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/// 16 bytes in base64. (That the last character has no superfluous bits is nobody's concern.)
bool is_key(std::string_view key) {
    return key.size() == 24 && key.ends_with("==") && std::ranges::all_of(key.substr(0, 22), is_base64);
}

bool occurs_once(const Request& request, std::string_view field) {
    return std::ranges::count_if(request.headers,
                                 [&](const auto& given) { return same_word(given.name, field); }) == 1;
}

bool is_welcome(const Request& request, const std::vector<std::string>& origins) {
    const auto origin = request.headers.find("Origin");
    if (!origin) return true;
    if (origins.empty()) {
        const std::size_t scheme = origin->find("://");
        return scheme != origin->npos && same_word(origin->substr(scheme + 3), value_of(request, "Host"));
    }
    return std::ranges::any_of(
        origins, [&](const std::string& known) { return known == "*" || same_word(known, *origin); });
}

Response refusal(int status, std::string_view why) {
    Response response = Response::text(std::string(why) + "\n", status);
    if (status == 426) {
        response.headers.add("Upgrade", "websocket");
        response.headers.add("Sec-WebSocket-Version", "13");
    }
    return response;
}

}  // namespace

std::optional<Response> refuse_websocket(const Request& request, const WebSocketOptions& options) {
    if (request.version < 11 || request.method != "GET" || !lists(request, "Upgrade", "websocket") ||
        !lists(request, "Connection", "upgrade"))
        return refusal(426, "426 Upgrade Required: this is a WebSocket");
    if (value_of(request, "Sec-WebSocket-Version") != "13")
        return refusal(426, "426 Upgrade Required: Sec-WebSocket-Version other than 13");
    if (!occurs_once(request, "Sec-WebSocket-Key") || !is_key(value_of(request, "Sec-WebSocket-Key")))
        return refusal(400, "400 Bad Request: Sec-WebSocket-Key is not 16 bytes in base64");
    if (!request.body.empty()) return refusal(400, "400 Bad Request: a WebSocket begins without a body");
    if (!is_welcome(request, options.origins))
        return refusal(403, "403 Forbidden: the page's origin is a foreign one");
    return std::nullopt;
}

std::string choose_subprotocol(const Request& request, const WebSocketOptions& options) {
    const auto chosen = std::ranges::find_if(options.protocols, [&](const std::string& ours) {
        return lists(request, "Sec-WebSocket-Protocol", ours);
    });
    return chosen == options.protocols.end() ? std::string() : *chosen;
}

}  // namespace signalbox::server
