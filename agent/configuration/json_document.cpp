#include "agent/configuration/json_document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "common/wire/readable.hpp"

namespace signalbox::configuration {
namespace {

using nlohmann::json;

constexpr std::size_t kDeepest = 16;
constexpr std::size_t kMostNodes = 10'000;
constexpr std::size_t kMostQuoted = 80;

/// Iterates over the text and notes how far it has been read.
class Reading {
public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    Reading(const char* at, const char** read_to) : at_(at), read_to_(read_to) {}
    reference operator*() const { return *at_; }
    Reading& operator++() {
        *read_to_ = ++at_;
        return *this;
    }
    Reading operator++(int) {
        const Reading before = *this;
        ++*this;
        return before;
    }
    friend bool operator==(const Reading& a, const Reading& b) { return a.at_ == b.at_; }
    friend bool operator!=(const Reading& a, const Reading& b) { return a.at_ != b.at_; }

private:
    const char* at_;
    const char** read_to_;
};

/// Builds the tree. The parser does not say where a token begins: that is where the one before ended, without space,
/// separators and comments.
class Builder : public nlohmann::json_sax<json> {
public:
    Builder(std::string_view text, Document& document)
        : text_(text),
          document_(document),
          read_to_(text.data()),
          last_(text.data()),
          counted_(text.data()) {}

    Reading begin() { return {text_.data(), &read_to_}; }
    Reading end() { return {text_.data() + text_.size(), &read_to_}; }

    bool null() override { return scalar(Node::Type::null, "null"); }
    bool boolean(bool value) override { return scalar(Node::Type::boolean, value ? "true" : "false"); }
    bool number_integer(number_integer_t value) override {
        return scalar(Node::Type::number, std::to_string(value));
    }
    bool number_unsigned(number_unsigned_t value) override {
        return scalar(Node::Type::number, std::to_string(value));
    }
    bool number_float(number_float_t, const string_t& written) override {
        return scalar(Node::Type::number, written);
    }
    bool string(string_t& value) override { return scalar(Node::Type::text, std::move(value)); }
    bool binary(binary_t&) override { return false; }
    bool start_object(std::size_t) override { return open(Node::Type::object); }
    bool start_array(std::size_t) override { return open(Node::Type::list); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }

    bool key(string_t& name) override {
        const Place place = next_token();
        std::vector<Node>& members = open_.back()->members;
        const auto twin = std::find_if(members.begin(), members.end(),
                                       [&](const Node& member) { return member.name == name; });
        if (twin != members.end())
            document_.complaints.push_back(
                {place, fmt::format("'{}' is given already at {}:{}; take one of them out",
                                    wire::escaped(name), twin->name_place.line, twin->name_place.column)});
        members.push_back({.name = std::move(name), .name_place = place});
        return true;
    }

    bool parse_error(std::size_t position, const std::string&, const json::exception& error) override {
        std::string why = error.what();
        // "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error while …"
        if (const std::size_t begin = why.find(": "); begin != std::string::npos) why.erase(0, begin + 2);
        document_.complaints.push_back(
            {place_of(text_.data() + std::min(position > 0 ? position - 1 : 0, text_.size())),
             "this is not JSON: " + wire::escaped(why.substr(0, 200))});
        return false;
    }

private:
    static bool is_space(char c) {
        return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',' || c == ':';
    }

    const char* begin_of_token() const {
        const char* at = last_;
        const char* const end = text_.data() + text_.size();
        if (at == text_.data() && text_.starts_with("\xef\xbb\xbf")) at += 3;
        while (at < end) {
            const std::string_view rest(at, static_cast<std::size_t>(end - at));
            if (is_space(*at))
                ++at;
            else if (rest.starts_with("//"))
                at += std::min(rest.find('\n'), rest.size());
            else if (rest.starts_with("/*"))
                at += std::min(rest.find("*/", 2), rest.size() - 2) + 2;
            else
                break;
        }
        return at;
    }

    /// Called once for each token, when it has just been read; goes past it.
    Place next_token() {
        const char* const begin = begin_of_token();
        last_ = read_to_;
        // The end of a number shows in what follows it.
        const bool number = begin < read_to_ && (*begin == '-' || (*begin >= '0' && *begin <= '9'));
        if (number)
            last_ = std::find_if(begin, read_to_, [](char c) {
                return std::string_view("+-.0123456789eE").find(c) == std::string_view::npos;
            });
        return place_of(begin);
    }

    /// Places are asked for in ascending order, but for errors.
    Place place_of(const char* at) {
        if (at < counted_) {
            counted_ = text_.data();
            counted_place_ = {};
        }
        for (; counted_ < at; ++counted_) {
            ++counted_place_.column;
            if (*counted_ == '\n') counted_place_ = {counted_place_.line + 1, 1};
        }
        return counted_place_;
    }

    /// Null when there are too many.
    Node* take(Node node) {
        if (++nodes_ > kMostNodes) {
            document_.complaints.push_back(
                {node.place,
                 fmt::format("there are more than {} values; no configuration needs so many", kMostNodes)});
            return nullptr;
        }
        if (open_.empty()) {
            document_.root = std::move(node);
            return &document_.root;
        }
        Node& parent = *open_.back();
        if (parent.type == Node::Type::list) return &parent.items.emplace_back(std::move(node));
        Node& member = parent.members.back();
        node.name = std::move(member.name);
        node.name_place = member.name_place;
        member = std::move(node);
        return &member;
    }

    bool scalar(Node::Type type, std::string text) {
        const Place place = next_token();
        return take({.type = type, .text = std::move(text), .place = place}) != nullptr;
    }
    bool open(Node::Type type) {
        const Place place = next_token();
        if (open_.size() >= kDeepest) {
            document_.complaints.push_back(
                {place, fmt::format("this lies more than {} levels deep; no setting does", kDeepest)});
            return false;
        }
        open_.push_back(take({.type = type, .place = place}));
        return open_.back() != nullptr;
    }
    bool close() {
        next_token();
        open_.pop_back();
        return true;
    }

    std::string_view text_;
    Document& document_;
    const char* read_to_;
    const char* last_;  ///< end of the token before
    const char* counted_;
    Place counted_place_{};
    std::vector<Node*> open_;
    std::size_t nodes_ = 0;
};

}  // namespace

Document read_document(std::string_view text) {
    Document document;
    Builder builder(text, document);
    const bool whole = json::sax_parse(builder.begin(), builder.end(), &builder,
                                       nlohmann::detail::input_format_t::json, true, true);
    if (whole && document.root.type != Node::Type::object)
        document.complaints.push_back(
            {document.root.place,
             fmt::format("{} is no configuration; write {{ … }}", in_words(document.root))});
    return document;
}

std::string in_words(const Node& node) {
    switch (node.type) {
        case Node::Type::none:
            return "nothing";
        case Node::Type::null:
            return "null";
        case Node::Type::list:
            return "a list";
        case Node::Type::object:
            return "an object";
        default:
            return fmt::format("'{}'", wire::escaped(std::string_view(node.text).substr(0, kMostQuoted)));
    }
}

}  // namespace signalbox::configuration
