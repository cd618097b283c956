// The primitives of the binary form: a Writer that appends them and a Reader that takes them from bytes it
// does not trust.
//
// Both have the same member functions, so that one list of fields serves encoding and decoding (see
// codec.cpp):
//
//     template <typename Io, typename Event> void fields(Io& io, Event& event) {
//         io.number(event.sequence);
//         io.text(event.name, kMaxNameBytes);
//     }
//
// Every value has exactly one form, and the Reader refuses all others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace signalbox::wire {

/// Thrown by the Reader; `what()` says what is wrong, `offset` where the offending value starts.
struct MalformedFrame : std::runtime_error {
    MalformedFrame(std::size_t where, const std::string& problem)
        : std::runtime_error(problem), offset(where) {}
    std::size_t offset;
};

class Writer {
public:
    void byte(std::uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
    /// Unsigned LEB128: seven bits a byte, lowest first, the top bit set on all but the last.
    void number(std::uint64_t value);
    /// Zigzag (0, -1, 1, -2 … become 0, 1, 2, 3 …), then as number().
    void signed_number(std::int64_t value);
    /// IEEE 754 binary64, little-endian. Every NaN becomes the same quiet one, and -0 becomes 0.
    void real(double value);
    /// Its length as number(), then UTF-8. What is not UTF-8 is replaced, what exceeds `max_bytes` cut off.
    void text(std::string_view value, std::size_t max_bytes);

    template <typename Enum>
    void enumerator(Enum value, Enum /*first*/, Enum /*last*/) {
        byte(static_cast<std::uint8_t>(value));
    }
    /// The number of items, then each. The Reader wants to know how few bytes an item can take.
    template <typename Item, typename Each>
    void list(const std::vector<Item>& items, std::size_t /*least_bytes_each*/, Each each) {
        number(items.size());
        for (const Item& item : items)
            each(item);
    }

    std::string take() { return std::move(bytes_); }

private:
    std::string bytes_;
};

class Reader {
public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}

    std::uint8_t byte();
    std::uint64_t number_up_to(std::uint64_t max);
    std::int64_t signed_number();

    template <typename Unsigned>
    void number(Unsigned& value) {
        static_assert(std::is_unsigned_v<Unsigned>);
        value = static_cast<Unsigned>(number_up_to(std::numeric_limits<Unsigned>::max()));
    }
    void signed_number(std::int64_t& value) { value = signed_number(); }
    void real(double& value);
    void text(std::string& value, std::size_t max_bytes);

    template <typename Enum>
    void enumerator(Enum& value, Enum first, Enum last) {
        const std::size_t start = offset_;
        const std::uint8_t read = byte();
        if (read < static_cast<std::uint8_t>(first) || read > static_cast<std::uint8_t>(last))
            fail(start, "no enumerator has the value " + std::to_string(read));
        value = static_cast<Enum>(read);
    }
    /// Refuses a count that the rest of the bytes cannot hold before it allocates anything.
    template <typename Item, typename Each>
    void list(std::vector<Item>& items, std::size_t least_bytes_each, Each each) {
        items.resize(count(least_bytes_each));
        for (Item& item : items)
            each(item);
    }

    std::size_t offset() const { return offset_; }
    std::size_t remaining() const { return bytes_.size() - offset_; }
    void expect_end() const;
    [[noreturn]] static void fail(std::size_t offset, const std::string& problem) {
        throw MalformedFrame(offset, problem);
    }

private:
    std::size_t count(std::size_t least_bytes_each);

    std::string_view bytes_;
    std::size_t offset_ = 0;
};

}  // namespace signalbox::wire
