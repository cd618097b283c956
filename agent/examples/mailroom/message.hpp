// What an e-mail message says, read from any bytes: its header fields and the text of its parts (RFC 5322,
// 2045 to 2047).
//
//     const mailroom::Message message = mailroom::parse_message(bytes);
//     message.field("Subject");                                   // unfolded, encoded words decoded, UTF-8
//     for (const auto& part : message.texts) read(part.text);     // transfer encoding undone, UTF-8
//
// Total and bounded: whatever the bytes are, there is a message. What is malformed is read as far as it makes
// sense and is named among the defects. Time is linear in the size for each level of nesting, and memory
// stays within a small multiple of the size.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mailroom {

struct ParserLimits {
    std::size_t fields = 500;           ///< of a header
    std::size_t parts = 200;            ///< of the whole message
    std::size_t depth = 8;              ///< of multipart and message/rfc822 in one another
    std::size_t text_bytes = 1u << 20;  ///< of decoded text in all parts together
};

enum class Defect {
    no_header,               ///< the first line is no header field
    header_ends_abruptly,    ///< the header runs into what is no field, without an empty line
    too_many_fields,         ///< those beyond the limit are left out
    too_many_parts,          ///< likewise
    too_deep,                ///< what is nested deeper counts as an attachment
    no_boundary,             ///< a multipart that does not say what separates its parts; read as text
    unterminated_multipart,  ///< a multipart that just ends
    damaged_encoding,        ///< malformed base64 or quoted-printable
    unknown_encoding,        ///< a Content-Transfer-Encoding that nobody has heard of; read as it is
    text_cut,                ///< there is more text than the limit
};
std::string_view to_string(Defect defect);

struct Field {
    std::string name;   ///< as sent
    std::string value;  ///< unfolded, decoded, UTF-8, no white space around it
};

struct TextPart {
    bool html = false;  ///< text/html; every other text/… is plain
    std::string text;   ///< UTF-8
};

struct Attachment {
    std::string type;       ///< lower case: "image/png"
    std::string file_name;  ///< empty if it has none
};

struct Message {
    std::vector<Field> fields;
    std::vector<TextPart> texts;
    std::vector<Attachment> attachments;
    std::vector<Defect> defects;  ///< each at most once, in the order found

    /// The value of the first field of that name, in any case; empty if there is none.
    std::string_view field(std::string_view name) const;
    bool has_field(std::string_view name) const;
    bool has(Defect defect) const;
};

Message parse_message(std::string_view bytes, const ParserLimits& limits = {});

}  // namespace mailroom
