// Sizes, as a type and as people write them.
//
//     Bytes limit = 512_MiB;
//     limit = parse_bytes("1GiB");
//     format_bytes(limit);  // "1GiB"
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace signalbox {

/// A number of bytes.
enum class Bytes : std::uint64_t {};
constexpr Bytes operator""_MiB(unsigned long long mebibytes) {
    return Bytes{mebibytes << 20};
}

/// "512MiB", "1GiB", "64KiB", "123456". Throws std::invalid_argument with what would be right.
Bytes parse_bytes(std::string_view text);

/// In the largest unit that it is a whole number of, so that parse_bytes() gives the same again.
std::string format_bytes(Bytes bytes);

}  // namespace signalbox
