#include <algorithm>
#include <stdexcept>

#include "agent/server/websocket_handshake.hpp"
#include "signalbox/http.hpp"

namespace signalbox {

namespace {

bool is_literal(std::string_view segment) {
    return segment.empty() || (segment.front() != ':' && segment.front() != '*');
}

/// Smaller wins: a literal, then one parameter, then the rest.
int rank(std::string_view segment) {
    return is_literal(segment) ? 0 : segment.front() == ':' ? 1 : 2;
}

std::vector<std::string> split_pattern(std::string_view pattern) {
    const auto malformed = [&](const char* why) {
        return std::invalid_argument("route '" + std::string(pattern) + "': " + why);
    };
    if (pattern.empty() || pattern.front() != '/') throw malformed("begin it with '/'");
    std::vector<std::string> segments;
    while (!pattern.empty()) {
        pattern.remove_prefix(1);
        segments.emplace_back(pattern.substr(0, pattern.find('/')));
        pattern.remove_prefix(segments.back().size());
        const std::string& segment = segments.back();
        if (is_literal(segment)) continue;
        if (segment.size() == 1) throw malformed("give the parameter a name, as in ':box'");
        if (segment.front() == '*' && !pattern.empty())
            throw malformed("'*' takes the rest, so it has to be last");
    }
    return segments;
}

/// Whether two patterns match exactly the same paths.
bool same_shape(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const std::string& x, const std::string& y) {
        return rank(x) == rank(y) && (!is_literal(x) || x == y);
    });
}

/// Calls `on_parameter(name, value)` for each parameter; false when the path does not fit.
template <class OnParameter>
bool walk(const std::vector<std::string>& segments, std::string_view path, OnParameter on_parameter) {
    for (const std::string& segment : segments) {
        if (!path.starts_with('/')) return false;
        path.remove_prefix(1);
        if (!segment.empty() && segment.front() == '*') {
            on_parameter(std::string_view(segment).substr(1), path);
            return true;
        }
        const std::string_view part = path.substr(0, path.find('/'));
        if (is_literal(segment)) {
            if (part != segment) return false;
        } else {
            if (part.empty()) return false;
            on_parameter(std::string_view(segment).substr(1), part);
        }
        path.remove_prefix(part.size());
    }
    return path.empty();
}

bool fits(const std::vector<std::string>& segments, std::string_view path) {
    return walk(segments, path, [](std::string_view, std::string_view) {});
}

/// Whether `a` is the more particular of two patterns that fit the same path.
bool beats(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    return std::lexicographical_compare(
        a.begin(), a.end(), b.begin(), b.end(),
        [](const std::string& x, const std::string& y) { return rank(x) < rank(y); });
}

void list_method(std::string& allow, std::string_view method) {
    if (allow.find(method) != allow.npos) return;
    if (!allow.empty()) allow += ", ";
    allow += method;
    if (method == "GET") list_method(allow, "HEAD");
}

}  // namespace

Router& Router::add(std::string_view method, std::string_view pattern, Endpoint endpoint) {
    std::vector<std::string> segments = split_pattern(pattern);
    const bool taken = std::any_of(routes_.begin(), routes_.end(), [&](const Route& route) {
        return route.method == method && same_shape(route.segments, segments);
    });
    if (taken)
        throw std::invalid_argument("route '" + std::string(method) + ' ' + std::string(pattern) +
                                    "': there is one for the same paths already");
    reads_bodies_ = reads_bodies_ || std::holds_alternative<BodyHandler>(endpoint);
    routes_.push_back({std::string(method), std::move(segments), std::move(endpoint)});
    return *this;
}

Router& Router::websocket(std::string_view pattern, WebSocketHandler handler, WebSocketOptions options) {
    auto endpoint =
        std::make_shared<WebSocketEndpoint>(WebSocketEndpoint{std::move(handler), std::move(options)});
    has_websockets_ = true;
    return add("GET", pattern, std::move(endpoint));
}

Router& Router::websocket(std::string_view pattern, WebSocketHandler handler) {
    return websocket(pattern, std::move(handler), WebSocketOptions());
}

Router::Match Router::match(Request& request) const {
    // A service has tens of routes, and nearly all of them differ in the first segment: a scan needs no
    // index.
    const auto best_for = [&](std::string_view method) {
        const Route* best = nullptr;
        for (const Route& route : routes_)
            if (route.method == method && fits(route.segments, request.path) &&
                (!best || beats(route.segments, best->segments)))
                best = &route;
        return best;
    };
    request.parameters.clear();
    const Route* route = best_for(request.method);
    if (!route && request.method == "HEAD") route = best_for("GET");
    if (route) {
        walk(route->segments, request.path, [&](std::string_view name, std::string_view value) {
            request.parameters.emplace_back(name, value);
        });
        return {.endpoint = &route->endpoint, .status = 200, .allow = {}};
    }
    Match match{.endpoint = nullptr, .status = 404, .allow = {}};
    const bool of_server = request.path == "*";  // parse_target() lets only OPTIONS have it
    for (const Route& other : routes_)
        if (of_server || fits(other.segments, request.path)) list_method(match.allow, other.method);
    if (of_server)
        match.status = 204;
    else if (!match.allow.empty())
        match.status = 405;
    return match;
}

}  // namespace signalbox
