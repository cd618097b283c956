#include "agent/server/response_writer.hpp"

#include <algorithm>
#include <boost/beast/http/status.hpp>
#include <charconv>
#include <stdexcept>

#include "agent/server/response_source.hpp"
#include "agent/server/token.hpp"

namespace signalbox::server {

namespace {

bool same_name(std::string_view name, std::string_view lower_case) {
    return name.size() == lower_case.size() && std::equal(name.begin(), name.end(), lower_case.begin(),
                                                          [](char a, char b) { return (a | 0x20) == b; });
}

bool is_servers_own(std::string_view name) {
    switch (name.size()) {
        case 4:
            return same_name(name, "date");
        case 10:
            return same_name(name, "connection");
        case 14:
            return same_name(name, "content-length");
        case 17:
            return same_name(name, "transfer-encoding");
        default:
            return false;
    }
}

void append_number(std::string& out, std::size_t number) {
    char digits[20];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

void append_length(std::string& out, const Response& response, const Framing& framing) {
    const auto length = response.source ? response.source->length() : response.body.size();
    if (length) {
        out += "\r\nContent-Length: ";
        append_number(out, *length);
    } else if (framing.version >= 11) {
        out += "\r\nTransfer-Encoding: chunked";
    }
}

void check(const Response& response) {
    if (response.status < 200 || response.status > 599)
        throw std::invalid_argument("response status " + std::to_string(response.status) +
                                    " is not 200 to 599");
    for (const Headers::Field& field : response.headers)
        if (!is_token(field.name) || !is_value(field.value))
            throw std::invalid_argument("response field '" + field.name +
                                        "' has a name or value that HTTP cannot carry");
}

}  // namespace

std::string_view DateClock::now() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return at(now.tv_sec);
}

std::string_view DateClock::at(std::time_t time) {
    constexpr std::size_t kLength = 29;
    if (time == formatted_) return {text_, kLength};
    // Not strftime: its names follow the locale.
    static constexpr char kDays[] = "SunMonTueWedThuFriSat";
    static constexpr char kMonths[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    std::tm utc{};
    gmtime_r(&time, &utc);
    char* p = text_;
    const auto name = [&p](const char* names, int index) { p = std::copy_n(names + 3 * index, 3, p); };
    const auto two = [&p](int value) {
        *p++ = static_cast<char>('0' + value / 10);
        *p++ = static_cast<char>('0' + value % 10);
    };
    name(kDays, utc.tm_wday);
    *p++ = ',';
    *p++ = ' ';
    two(utc.tm_mday);
    *p++ = ' ';
    name(kMonths, utc.tm_mon);
    *p++ = ' ';
    two((utc.tm_year + 1900) / 100);
    two((utc.tm_year + 1900) % 100);
    *p++ = ' ';
    two(utc.tm_hour);
    *p++ = ':';
    two(utc.tm_min);
    *p++ = ':';
    two(utc.tm_sec);
    std::copy_n(" GMT", 4, p);
    formatted_ = time;
    return {text_, kLength};
}

bool has_body(const Response& response, const Framing& framing) {
    return !framing.head && response.status != 204 && response.status != 304;
}

void append_header(std::string& out, const Response& response, const Framing& framing,
                   std::string_view date) {
    check(response);
    out += "HTTP/1.1 ";
    append_number(out, static_cast<unsigned>(response.status));
    out += ' ';
    out += reason_phrase(response.status);
    out += "\r\nDate: ";
    out += date;
    if (response.status != 204 && response.status != 304) append_length(out, response, framing);
    if (!framing.keep_alive)
        out += "\r\nConnection: close";
    else if (framing.version < 11)
        out += "\r\nConnection: keep-alive";
    for (const Headers::Field& field : response.headers) {
        if (is_servers_own(field.name)) continue;
        out += "\r\n";
        out += field.name;
        out += ": ";
        out += field.value;
    }
    out += "\r\n\r\n";
}

std::string_view reason_phrase(int status) {
    if (status == 200) return "OK";
    const auto phrase = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
    return {phrase.data(), phrase.size()};
}

}  // namespace signalbox::server
