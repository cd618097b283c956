#include "signalbox/bytes.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <stdexcept>

namespace signalbox {
namespace {

struct Suffix {
    std::string_view name;
    unsigned shift;
};
constexpr std::array<Suffix, 5> kSuffixes = {{{"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}, {"", 0}}};

}  // namespace

Bytes parse_bytes(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc()) {
        const std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
        for (const auto& [name, shift] : kSuffixes)
            if (rest == name && number <= UINT64_MAX >> shift) return Bytes{number << shift};
    }
    throw std::invalid_argument(
        fmt::format("'{}' is not a size; try '512MiB' (B, KiB, MiB and GiB are known)", text));
}

std::string format_bytes(Bytes bytes) {
    const auto number = static_cast<std::uint64_t>(bytes);
    for (const auto& [name, shift] : kSuffixes)
        if (number >> shift != 0 && number >> shift << shift == number)
            return fmt::format("{}{}", number >> shift, name);
    return "0B";
}

}  // namespace signalbox
