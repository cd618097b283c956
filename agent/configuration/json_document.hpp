// A configuration file's text as a tree in which everything knows its place.
//
//     const Document document = read_document(text);           // JSON with comments
//     for (const Complaint& complaint : document.complaints)   // "line:column: what, and the way out"
//
// Depth is bounded, so that nothing that is written in a file can exhaust the stack.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace signalbox::configuration {

/// Both from 1; the column in bytes.
struct Place {
    std::size_t line = 1;
    std::size_t column = 1;
};

struct Complaint {
    Place place{};
    std::string text{};
};

struct Node {
    enum class Type { none, null, boolean, number, text, list, object };
    Type type = Type::none;  ///< none: the file ends, or goes wrong, before the value
    std::string text{};      ///< of a scalar: as written; of a text its contents
    Place place{};
    std::string name{};  ///< of a member of an object
    Place name_place{};
    std::vector<Node> members{};  ///< of an object, in the order of the file
    std::vector<Node> items{};    ///< of a list
};

struct Document {
    Node root{};
    std::vector<Complaint> complaints{};  ///< syntax, and names that are given twice
};

Document read_document(std::string_view text);

/// For messages: "'4'", "a list".
std::string in_words(const Node& node);

}  // namespace signalbox::configuration
