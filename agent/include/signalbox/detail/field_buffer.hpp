// Fields in the form that they have in a ring's record, in a buffer that needs no allocation. Not for direct use.
//
// Each field: one byte with the type, one with the length of the name, the name, and the value: a text as one
// byte with its length and the text, an integer as an unsigned LEB128 of its zigzag form, a double as its eight
// bytes, a boolean as nothing (the type says it).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "signalbox/field.hpp"

namespace signalbox::detail {

enum class FieldType : std::uint8_t { text = 1, integer = 2, real = 3, no = 4, yes = 5 };

inline constexpr std::size_t kMaxFieldName = 64;
inline constexpr std::size_t kMaxFieldText = 255;

class FieldBuffer {
public:
    static constexpr std::size_t kBytes = 512;

    FieldBuffer() noexcept {}  // the bytes are not zeroed: only what has been added is read
    explicit FieldBuffer(Fields fields) noexcept {
        for (const Field& field : fields)
            add(field);
    }

    /// Names longer than 64 bytes and texts longer than 255 are cut between characters; a field for which there
    /// is no room is left out. Either way cut() is true from then on.
    void add(const Field& field) noexcept;
    /// The same, in place of a field of that name.
    void set(const Field& field) noexcept;

    std::string_view bytes() const noexcept { return {bytes_.data(), size_}; }
    bool cut() const noexcept { return cut_; }

private:
    std::array<char, kBytes> bytes_;
    std::uint16_t size_ = 0;
    bool cut_ = false;
};

}  // namespace signalbox::detail
