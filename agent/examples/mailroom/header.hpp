// The header of a message or of a part: fields up to an empty line, and values with parameters.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/examples/mailroom/message.hpp"

namespace mailroom {

/// The next line of `rest`, without its line end (LF or CRLF); `rest` then begins behind it.
std::string_view take_line(std::string_view& rest);

struct Header {
    std::vector<Field> fields;
    std::string_view body;  ///< what follows the empty line, in the bytes that were parsed
    std::vector<Defect> defects;

    const Field* find(std::string_view name) const;
};
Header parse_header(std::string_view bytes, std::size_t max_fields);

/// "text/plain; charset=utf-8; name="a b.txt"", as in Content-Type and Content-Disposition.
struct ParameterizedValue {
    std::string value;                                            ///< lower case
    std::vector<std::pair<std::string, std::string>> parameters;  ///< names in lower case

    std::string_view parameter(std::string_view name) const;
};
ParameterizedValue parse_parameterized(std::string_view text);

}  // namespace mailroom
