#include "agent/telemetry/fields.hpp"

#include <cstring>

#include "common/wire/utf8.hpp"

namespace signalbox {
namespace {

using detail::FieldType;

constexpr std::size_t kLongestField = 1 + 1 + detail::kMaxFieldName + 1 + detail::kMaxFieldText;

/// Writes a field into a buffer that is large enough for the longest.
class FieldWriter {
public:
    explicit FieldWriter(const Field& field) noexcept {
        const std::string_view name = shortened(field.name, detail::kMaxFieldName);
        const auto head = [&](FieldType type) {
            byte(static_cast<unsigned char>(type));
            text(name);
        };
        if (const auto* value = std::get_if<std::string_view>(&field.value)) {
            head(FieldType::text);
            text(shortened(*value, detail::kMaxFieldText));
        } else if (const auto* integer = std::get_if<std::int64_t>(&field.value)) {
            head(FieldType::integer);
            number(static_cast<std::uint64_t>(*integer) << 1 ^ static_cast<std::uint64_t>(*integer >> 63));
        } else if (const auto* real = std::get_if<double>(&field.value)) {
            head(FieldType::real);
            std::memcpy(&bytes_[size_], real, sizeof *real);
            size_ += sizeof *real;
        } else {
            head(*std::get_if<bool>(&field.value) ? FieldType::yes : FieldType::no);
        }
    }
    std::string_view bytes() const { return {bytes_, size_}; }
    bool cut() const { return cut_; }

private:
    std::string_view shortened(std::string_view text, std::size_t limit) {
        cut_ = cut_ || text.size() > limit;
        return wire::utf8_prefix(text, limit);
    }
    void byte(unsigned char value) { bytes_[size_++] = static_cast<char>(value); }
    void text(std::string_view value) {
        byte(static_cast<unsigned char>(value.size()));
        if (!value.empty()) std::memcpy(&bytes_[size_], value.data(), value.size());
        size_ += value.size();
    }
    void number(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7)
            byte(static_cast<unsigned char>(value | 0x80));
        byte(static_cast<unsigned char>(value));
    }

    char bytes_[kLongestField];
    std::size_t size_ = 0;
    bool cut_ = false;
};

}  // namespace

void detail::FieldBuffer::add(const Field& field) noexcept {
    const FieldWriter written(field);
    const std::string_view bytes = written.bytes();
    cut_ = cut_ || written.cut() || bytes.size() > kBytes - size_;
    if (bytes.size() > kBytes - size_) return;
    std::memcpy(bytes_.data() + size_, bytes.data(), bytes.size());
    size_ = static_cast<std::uint16_t>(size_ + bytes.size());
}

void detail::FieldBuffer::set(const Field& field) noexcept {
    telemetry::FieldReader reader(bytes());
    const std::string_view name = wire::utf8_prefix(field.name, kMaxFieldName);
    Field old;
    for (std::size_t start = 0; reader.next(old); start = reader.offset()) {
        if (old.name != name) continue;
        std::memmove(&bytes_[start], bytes_.data() + reader.offset(), size_ - reader.offset());
        size_ = static_cast<std::uint16_t>(size_ - (reader.offset() - start));
        break;
    }
    add(field);
}

namespace telemetry {

bool FieldReader::take(std::size_t bytes, std::string_view& out) {
    if (bytes > bytes_.size() - offset_) return false;
    out = bytes_.substr(offset_, bytes);
    offset_ += bytes;
    return true;
}

bool FieldReader::take_integer(std::int64_t& out) {
    std::uint64_t zigzag = 0;
    std::string_view next;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (!take(1, next)) return false;
        const auto byte = static_cast<unsigned char>(next[0]);
        zigzag |= std::uint64_t{byte & 0x7fu} << shift;
        if (byte >= 0x80) continue;
        out = static_cast<std::int64_t>(zigzag >> 1 ^ (0 - (zigzag & 1)));
        return true;
    }
    return false;
}

bool FieldReader::next(Field& field) {
    const auto text = [this](std::string_view& out) {
        std::string_view length;
        return take(1, length) && take(static_cast<unsigned char>(length[0]), out);
    };
    std::string_view type;
    if (!take(1, type) || !text(field.name)) return false;
    switch (static_cast<FieldType>(type[0])) {
        case FieldType::text:
            return text(field.value.emplace<std::string_view>());
        case FieldType::integer:
            return take_integer(field.value.emplace<std::int64_t>());
        case FieldType::real: {
            std::string_view bytes;
            if (!take(sizeof(double), bytes)) return false;
            std::memcpy(&field.value.emplace<double>(), bytes.data(), sizeof(double));
            return true;
        }
        case FieldType::no:
        case FieldType::yes:
            field.value = static_cast<FieldType>(type[0]) == FieldType::yes;
            return true;
    }
    return false;
}

std::string_view whole_fields(std::string_view bytes, std::size_t limit) {
    if (bytes.size() <= limit) return bytes;
    FieldReader reader(bytes);
    Field field;
    std::size_t end = 0;
    while (reader.next(field) && reader.offset() <= limit)
        end = reader.offset();
    return bytes.substr(0, end);
}

std::vector<wire::Field> read_fields(std::string_view bytes) {
    std::vector<wire::Field> fields;
    FieldReader reader(bytes);
    for (Field field; reader.next(field);) {
        wire::Field copy{std::string(field.name), {}};
        std::visit(
            [&copy](const auto& value) {
                if constexpr (std::is_same_v<decltype(value), const std::string_view&>)
                    copy.value = std::string(value);
                else
                    copy.value = value;
            },
            field.value);
        fields.push_back(std::move(copy));
    }
    return fields;
}

}  // namespace telemetry
}  // namespace signalbox
