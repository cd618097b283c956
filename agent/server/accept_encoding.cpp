#include "agent/server/accept_encoding.hpp"

#include <algorithm>

#include "agent/server/field_list.hpp"

namespace signalbox::server {

namespace {

constexpr int kUnsaid = -1;
constexpr int kMalformed = -2;

/// "0.25" as 250: at most three decimals and at most 1 (RFC 9110, section 12.4.2).
int parse_weight(std::string_view text) {
    if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return kMalformed;
    int weight = (text[0] - '0') * 1000;
    if (text.size() > 1 && text[1] != '.') return kMalformed;
    int unit = 100;
    for (const char digit : text.substr(std::min<std::size_t>(2, text.size()))) {
        if (digit < '0' || digit > '9') return kMalformed;
        weight += (digit - '0') * unit;
        unit /= 10;
    }
    return weight <= 1000 ? weight : kMalformed;
}

/// Of "gzip; q=0.5"; takes the coding off the front.
int take_weight(std::string_view& member) {
    std::string_view rest = member;
    member = take_part(rest, ';');
    if (rest.empty()) return 1000;
    const std::string_view name = take_part(rest, '=');
    return same_word(name, "q") ? parse_weight(without_blanks(rest)) : kMalformed;
}

}  // namespace

std::string_view name_of(Coding coding) {
    return coding == Coding::gzip ? "gzip" : coding == Coding::zstd ? "zstd" : "identity";
}

Coding choose_coding(const Headers& request, const CompressionOptions& offered) {
    int gzip = kUnsaid;
    int zstd = kUnsaid;
    int identity = kUnsaid;
    int others = 0;
    const auto take_member = [&](std::string_view member) {
        const int weight = take_weight(member);
        if (weight < 0) return;
        if (same_word(member, "gzip") || same_word(member, "x-gzip")) gzip = weight;
        if (same_word(member, "zstd")) zstd = weight;
        if (same_word(member, "identity")) identity = weight;
        if (member == "*") others = weight;
    };
    for (const Headers::Field& field : request)
        if (same_word(field.name, "accept-encoding")) for_each_member(field.value, take_member);

    gzip = !offered.gzip ? 0 : gzip == kUnsaid ? others : gzip;
    zstd = !offered.zstd ? 0 : zstd == kUnsaid ? others : zstd;
    const int best = std::max(gzip, zstd);
    // What is not said of identity means that it will do, not that it is liked.
    if (best <= 0 || identity > best) return Coding::identity;
    return zstd == best ? Coding::zstd : Coding::gzip;
}

bool is_listed(std::string_view content_type, const std::vector<std::string>& types) {
    const std::string_view type = without_blanks(content_type.substr(0, content_type.find(';')));
    return std::any_of(types.begin(), types.end(), [type](std::string_view listed) {
        if (!listed.ends_with("/*")) return same_word(type, listed);
        listed.remove_suffix(1);
        return same_word(type.substr(0, listed.size()), listed);
    });
}

}  // namespace signalbox::server
