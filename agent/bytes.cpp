#include <fmt/format.h>

#include <array>
#include <charconv>
#include <stdexcept>

#include "signalbox/group.hpp"

namespace signalbox {

Bytes parse_bytes(std::string_view text) {
    struct Suffix {
        std::string_view name;
        unsigned shift;
    };
    static constexpr std::array<Suffix, 5> kSuffixes = {
        {{"", 0}, {"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}}};
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

}  // namespace signalbox
