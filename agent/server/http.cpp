#include "signalbox/http.hpp"

#include <algorithm>

#include "agent/server/response_source.hpp"
#include "agent/server/uri.hpp"

namespace signalbox {

namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

bool same_name(std::string_view a, std::string_view b) {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

Response with_body(int status, std::string_view type, std::string body) {
    Response response;
    response.status = status;
    response.headers.add("Content-Type", type);
    response.body = std::move(body);
    return response;
}

}  // namespace

void Headers::add(std::string_view name, std::string_view value) {
    if (size_ == fields_.size()) fields_.emplace_back();
    fields_[size_].name.assign(name);
    fields_[size_].value.assign(value);
    ++size_;
}

void Headers::set(std::string_view name, std::string_view value) {
    const auto last = fields_.begin() + static_cast<std::ptrdiff_t>(size_);
    const auto kept = std::remove_if(fields_.begin(), last,
                                     [&](const Field& field) { return same_name(field.name, name); });
    size_ = static_cast<std::size_t>(kept - fields_.begin());
    add(name, value);
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
    const auto found = std::find_if(begin(), end(), [&](const Field& f) { return same_name(f.name, name); });
    if (found == end()) return std::nullopt;
    return found->value;
}

std::string_view Request::parameter(std::string_view name) const {
    const auto found =
        std::find_if(parameters.begin(), parameters.end(), [&](const auto& p) { return p.first == name; });
    return found == parameters.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<std::string> Request::query_value(std::string_view name) const {
    std::string_view rest = query;
    while (!rest.empty()) {
        const std::string_view pair = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
        const std::size_t equals = pair.find('=');
        if (server::decode_form(pair.substr(0, equals)) != name) continue;
        return equals == pair.npos ? std::string() : server::decode_form(pair.substr(equals + 1));
    }
    return std::nullopt;
}

Response Response::text(std::string body, int status) {
    return with_body(status, "text/plain; charset=utf-8", std::move(body));
}

Response Response::html(std::string body, int status) {
    return with_body(status, "text/html; charset=utf-8", std::move(body));
}

Response Response::json(int status, std::string body) {
    return with_body(status, "application/json", std::move(body));
}

Response Response::stream(std::string_view type, StreamProducer producer, int status) {
    Response response = with_body(status, type, {});
    response.source = std::make_shared<ResponseSource>(ResponseSource{.produce = std::move(producer)});
    return response;
}

}  // namespace signalbox
