// Reading fields from bytes that may be anything.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "common/wire/event.hpp"
#include "signalbox/detail/field_buffer.hpp"

namespace signalbox::telemetry {

/// Takes one field after the other from the form that FieldBuffer writes.
class FieldReader {
public:
    explicit FieldReader(std::string_view bytes) : bytes_(bytes) {}

    /// False at the end, and at what makes no sense. What `field` refers to are the bytes given.
    bool next(Field& field);
    /// How many bytes the fields so far have taken.
    std::size_t offset() const { return offset_; }

private:
    bool take(std::size_t bytes, std::string_view& out);
    bool take_integer(std::int64_t& out);

    std::string_view bytes_;
    std::size_t offset_ = 0;
};

/// As many whole fields of `bytes`, from the first on, as take at most `limit` bytes.
std::string_view whole_fields(std::string_view bytes, std::size_t limit);

/// Those that make sense, up to the first that does not.
std::vector<wire::Field> read_fields(std::string_view bytes);

}  // namespace signalbox::telemetry
