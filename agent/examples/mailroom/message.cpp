#include "agent/examples/mailroom/message.hpp"

#include <algorithm>

#include "agent/examples/mailroom/encodings.hpp"
#include "agent/examples/mailroom/header.hpp"

namespace mailroom {

namespace {

/// Walks the parts of one message. An entity is a header and a body: the message itself, or a part of it.
class Parser {
public:
    explicit Parser(const ParserLimits& limits) : limits_(limits), text_left_(limits.text_bytes) {}

    Message parse(std::string_view bytes) {
        Header header = parse_header(bytes, limits_.fields);
        read_entity(header, 0);
        for (const Defect defect : header.defects)
            note(defect);
        message_.fields = std::move(header.fields);
        return std::move(message_);
    }

private:
    void note(Defect defect) {
        if (!message_.has(defect)) message_.defects.push_back(defect);
    }

    void read_entity(const Header& header, std::size_t depth) {
        const Field* type_field = header.find("Content-Type");
        const ParameterizedValue type = parse_parameterized(type_field ? type_field->value : "text/plain");
        if (type.value.starts_with("multipart/")) {
            read_multipart(header, type, depth);
        } else if (type.value == "message/rfc822" && descends(depth)) {
            const Header inner = parse_header(header.body, limits_.fields);
            for (const Defect defect : inner.defects)
                note(defect);
            read_entity(inner, depth + 1);
        } else {
            read_leaf(header, type);
        }
    }

    bool descends(std::size_t depth) {
        if (depth + 1 < limits_.depth) return true;
        note(Defect::too_deep);
        return false;
    }

    void read_multipart(const Header& header, const ParameterizedValue& type, std::size_t depth) {
        const std::string_view boundary = type.parameter("boundary");
        if (boundary.empty()) {
            note(Defect::no_boundary);
            read_text(header, {.value = "text/plain", .parameters = {}});
        } else if (!descends(depth)) {
            message_.attachments.push_back({type.value, {}});
        } else {
            split(header.body, "--" + std::string(boundary), depth);
        }
    }

    /// Hands what lies between the lines that begin with `delimiter` to read_part(). What is before the first
    /// one and behind the closing one ("--boundary--") is for readers without MIME.
    void split(std::string_view body, std::string_view delimiter, std::size_t depth) {
        std::string_view rest = body;
        const char* part_start = nullptr;
        while (!rest.empty()) {
            const char* line_start = rest.data();
            std::string_view line = take_line(rest);
            if (!line.starts_with(delimiter)) continue;
            line.remove_prefix(delimiter.size());
            const bool closes = line.starts_with("--");
            if (line.find_first_not_of(" \t", closes ? 2 : 0) != std::string_view::npos) continue;
            if (part_start) read_part({part_start, static_cast<std::size_t>(line_start - part_start)}, depth);
            if (closes) return;
            part_start = rest.data();
        }
        note(Defect::unterminated_multipart);
        if (part_start)
            read_part({part_start, static_cast<std::size_t>(body.data() + body.size() - part_start)}, depth);
    }

    void read_part(std::string_view part, std::size_t depth) {
        if (parts_ == limits_.parts) return note(Defect::too_many_parts);
        ++parts_;
        // The line end before a delimiter belongs to the delimiter (RFC 2046 5.1.1).
        if (part.ends_with('\n')) part.remove_suffix(1);
        if (part.ends_with('\r')) part.remove_suffix(1);
        read_entity(parse_header(part, limits_.fields), depth + 1);
    }

    void read_leaf(const Header& header, const ParameterizedValue& type) {
        const Field* field = header.find("Content-Disposition");
        const ParameterizedValue disposition = parse_parameterized(field ? field->value : "");
        // A type without a slash is no type, and RFC 2045 5.2 has text for that.
        const bool is_text = type.value.starts_with("text/") || type.value.find('/') == std::string::npos;
        if (is_text && disposition.value != "attachment") return read_text(header, type);
        std::string_view name = disposition.parameter("filename");
        if (name.empty()) name = type.parameter("name");
        message_.attachments.push_back({type.value, decode_encoded_words(name)});
    }

    void read_text(const Header& header, const ParameterizedValue& type) {
        std::string text = to_utf8_from(decoded(header), type.parameter("charset"));
        if (text.empty()) return;
        message_.texts.push_back({type.value == "text/html", std::move(text)});
    }

    /// The body without its transfer encoding, as far as the limit of text lets it.
    std::string decoded(const Header& header) {
        const Field* field = header.find("Content-Transfer-Encoding");
        const std::string encoding = field ? lower_case(field->value) : "7bit";
        const std::size_t wanted = text_left_ + 1;  // one more, to see whether there is more
        bool damaged = false;
        std::string bytes;
        if (encoding == "base64") {
            bytes = decode_base64(header.body, wanted, damaged);
        } else if (encoding == "quoted-printable") {
            bytes = decode_quoted_printable(header.body, wanted, damaged);
        } else {
            if (encoding != "7bit" && encoding != "8bit" && encoding != "binary")
                note(Defect::unknown_encoding);
            bytes = header.body.substr(0, wanted);
        }
        if (damaged) note(Defect::damaged_encoding);
        if (bytes.size() > text_left_) {
            note(Defect::text_cut);
            bytes.resize(text_left_);
        }
        text_left_ -= bytes.size();
        return bytes;
    }

    const ParserLimits& limits_;
    Message message_;
    std::size_t parts_ = 0;
    std::size_t text_left_;
};

}  // namespace

std::string_view to_string(Defect defect) {
    switch (defect) {
        case Defect::no_header:
            return "no header";
        case Defect::header_ends_abruptly:
            return "header ends abruptly";
        case Defect::too_many_fields:
            return "too many header fields";
        case Defect::too_many_parts:
            return "too many parts";
        case Defect::too_deep:
            return "parts nested too deep";
        case Defect::no_boundary:
            return "multipart without a boundary";
        case Defect::unterminated_multipart:
            return "multipart without an end";
        case Defect::damaged_encoding:
            return "damaged transfer encoding";
        case Defect::unknown_encoding:
            return "unknown transfer encoding";
        case Defect::text_cut:
            return "more text than is read";
    }
    return "defect";
}

std::string_view Message::field(std::string_view name) const {
    for (const Field& each : fields)
        if (equal_ignoring_case(each.name, name)) return each.value;
    return {};
}

bool Message::has_field(std::string_view name) const {
    return std::any_of(fields.begin(), fields.end(),
                       [&](const Field& f) { return equal_ignoring_case(f.name, name); });
}

bool Message::has(Defect defect) const {
    return std::find(defects.begin(), defects.end(), defect) != defects.end();
}

Message parse_message(std::string_view bytes, const ParserLimits& limits) {
    return Parser(limits).parse(bytes);
}

}  // namespace mailroom
