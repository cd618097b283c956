#include "common/wire/bytes.hpp"

#include <bit>
#include <cmath>

#include "common/wire/utf8.hpp"

namespace signalbox::wire {
namespace {

constexpr std::uint64_t kNotANumber = 0x7ff8'0000'0000'0000;
constexpr std::uint64_t kNegativeZero = 0x8000'0000'0000'0000;

}  // namespace

void Writer::number(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        byte(static_cast<std::uint8_t>(value | 0x80));
    byte(static_cast<std::uint8_t>(value));
}

void Writer::signed_number(std::int64_t value) {
    number(static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63));
}

void Writer::real(double value) {
    auto bits = std::bit_cast<std::uint64_t>(value);
    if (std::isnan(value)) bits = kNotANumber;
    if (bits == kNegativeZero) bits = 0;
    for (int i = 0; i < 8; ++i, bits >>= 8)
        byte(static_cast<std::uint8_t>(bits));
}

void Writer::text(std::string_view value, std::size_t max_bytes) {
    if (value.size() <= max_bytes && is_utf8(value)) {
        number(value.size());
        bytes_ += value;
    } else {
        text(to_utf8(value, max_bytes), max_bytes);
    }
}

std::uint8_t Reader::byte() {
    if (remaining() == 0) fail(offset_, "the frame ends in the middle of a value");
    return static_cast<std::uint8_t>(bytes_[offset_++]);
}

std::uint64_t Reader::number_up_to(std::uint64_t max) {
    const std::size_t start = offset_;
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        const std::uint8_t next = byte();
        if (shift == 63 && next > 1) fail(start, "a number exceeds 64 bits");
        value |= static_cast<std::uint64_t>(next & 0x7f) << shift;
        if (next < 0x80) {
            if (next == 0 && shift > 0) fail(start, "a number is longer than it need be");
            break;
        }
    }
    if (value > max) fail(start, "the number " + std::to_string(value) + " exceeds " + std::to_string(max));
    return value;
}

std::int64_t Reader::signed_number() {
    const std::uint64_t zigzag = number_up_to(UINT64_MAX);
    return static_cast<std::int64_t>(zigzag >> 1 ^ (0 - (zigzag & 1)));
}

void Reader::real(double& value) {
    const std::size_t start = offset_;
    std::uint64_t bits = 0;
    for (int shift = 0; shift < 64; shift += 8)
        bits |= static_cast<std::uint64_t>(byte()) << shift;
    value = std::bit_cast<double>(bits);
    if (bits == kNegativeZero) fail(start, "a real number is -0, which is written as 0");
    if (std::isnan(value) && bits != kNotANumber) fail(start, "a NaN is not the canonical one");
}

void Reader::text(std::string& value, std::size_t max_bytes) {
    const std::size_t start = offset_;
    const std::size_t length = number_up_to(max_bytes);
    if (length > remaining()) fail(start, "a text is longer than the rest of the frame");
    value = bytes_.substr(offset_, length);
    if (!is_utf8(value)) fail(start, "a text is not UTF-8");
    offset_ += length;
}

std::size_t Reader::count(std::size_t least_bytes_each) {
    const std::size_t start = offset_;
    const std::uint64_t items = number_up_to(UINT64_MAX);
    if (items > remaining() / least_bytes_each)
        fail(start, "a list of " + std::to_string(items) + " items does not fit the rest of the frame");
    return items;
}

void Reader::expect_end() const {
    if (remaining() > 0) fail(offset_, std::to_string(remaining()) + " bytes follow the end of the message");
}

}  // namespace signalbox::wire
