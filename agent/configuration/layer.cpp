#include "agent/configuration/layer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "agent/configuration/suggestion.hpp"
#include "common/wire/readable.hpp"

namespace signalbox::configuration {
namespace {

constexpr std::size_t kMostErrors = 50;

class Reader {
public:
    explicit Reader(const std::string& path) : path_(path) {}

    void complain(Place place, const std::string& text) { complaints_.push_back({place, text}); }

    /// In the order of the file.
    void report(std::vector<std::string>& errors) {
        std::stable_sort(complaints_.begin(), complaints_.end(), [](const Complaint& a, const Complaint& b) {
            return std::pair(a.place.line, a.place.column) < std::pair(b.place.line, b.place.column);
        });
        for (std::size_t i = 0; i < complaints_.size() && i < kMostErrors; ++i)
            errors.push_back(fmt::format("{}: {}", where(complaints_[i].place), complaints_[i].text));
        if (complaints_.size() > kMostErrors)
            errors.push_back(
                fmt::format("{}: {} more errors; mend these first", path_, complaints_.size() - kMostErrors));
    }

    /// The members of `object`, whose rows begin with `prefix`; not the one called `but`, which is no setting.
    void read_settings(const Node& object, const std::string& prefix, const Rows& rows, std::string_view but,
                       std::vector<Choice>& choices) {
        for (const Node& member : object.members)
            if (member.type != Node::Type::none && !(prefix.empty() && member.name == but))
                read_setting(member, prefix + member.name, prefix, rows, but, choices);
    }

    void read_listeners(const Node& node, Layer& layer) {
        if (node.type != Node::Type::object && node.type != Node::Type::list)
            return complain(
                node.place,
                fmt::format("listeners: {} is neither a list of listeners nor an object with their "
                            "names; write [{{\"address\": \"*:8080\"}}]",
                            in_words(node)));
        layer.lists_listeners = true;
        for (const Node& item : node.items)
            read_listener({}, layer.listeners.size(), item.place, item, layer);
        for (const Node& member : node.members)
            if (member.type != Node::Type::none)
                read_listener(member.name, layer.listeners.size(), member.name_place, member, layer);
    }

private:
    std::string where(Place place) const { return fmt::format("{}:{}:{}", path_, place.line, place.column); }

    void read_setting(const Node& member, const std::string& name, const std::string& prefix,
                      const Rows& rows, std::string_view but, std::vector<Choice>& choices) {
        const auto found =
            std::find_if(rows.begin(), rows.end(), [&](const Row* row) { return row->name == name; });
        const Row* row = found == rows.end() ? nullptr : *found;
        const bool has_parts = std::any_of(
            rows.begin(), rows.end(), [&](const Row* other) { return other->name.starts_with(name + '.'); });
        if (has_parts && member.type == Node::Type::object) {
            if (row) choose(*row, "true", member.place, choices);
            return read_settings(member, name + '.', rows, but, choices);
        }
        if (row && row->kind == Kind::section && member.type == Node::Type::null)
            return choose(*row, "false", member.place, choices);
        if (row) return read_value(*row, member, choices);
        if (has_parts)
            return complain(member.place, within_ + fmt::format("{}: {} is not an object; write {{ … }}",
                                                                name, in_words(member)));
        std::vector<std::string> known;
        for (const Row* other : rows)
            if (other->name.starts_with(prefix))
                known.push_back(
                    other->name.substr(prefix.size(), other->name.find('.', prefix.size()) - prefix.size()));
        if (prefix.empty() && !but.empty()) known.emplace_back(but);
        complain(member.name_place,
                 fmt::format("there is no setting '{}'{}", wire::escaped((within_ + name).substr(0, 120)),
                             or_all(suggestion(member.name, known))));
    }

    static std::string or_all(const std::string& suggested) {
        return suggested.empty() ? "; --print-config shows all" : suggested;
    }

    void read_value(const Row& row, const Node& node, std::vector<Choice>& choices) {
        const bool scalar = node.type == Node::Type::boolean || node.type == Node::Type::number ||
                            node.type == Node::Type::text;
        if (row.kind == Kind::list && node.type == Node::Type::list) return read_list(row, node, choices);
        using signalbox::detail::SettingType;
        if (!scalar)
            return complain(node.place,
                            within_ + fmt::format("{}: {} is no {}", row.name, in_words(node), kind_of(row)));
        const bool is_text = node.type == Node::Type::text;
        if (row.kind == Kind::word && is_text && row.type != SettingType::duration &&
            row.type != SettingType::bytes)
            return complain(node.place, within_ + fmt::format("{}: {} is a text; write it without quotes",
                                                              row.name, in_words(node)));
        if (row.kind != Kind::word && row.kind != Kind::section && !is_text)
            return complain(node.place, within_ + fmt::format("{}: {} is not a text; write it in quotes",
                                                              row.name, in_words(node)));
        if (row.kind == Kind::list)
            return read_list(row, {.type = Node::Type::list, .place = node.place, .items = {node}}, choices);
        choose(row, node.text, node.place, choices);
    }

    /// What is in the list holds no list itself, but may hold commas.
    void read_list(const Row& row, const Node& list, std::vector<Choice>& choices) {
        std::vector<std::string> texts;
        Row single = row;
        single.kind = Kind::text;
        for (const Node& item : list.items) {
            if (item.type != Node::Type::text) {
                complain(item.place, within_ + fmt::format("{}: {} is not a text; write it in quotes",
                                                           row.name, in_words(item)));
                continue;
            }
            std::vector<Choice> chosen;
            choose(single, item.text, item.place, chosen);
            if (!chosen.empty()) texts.push_back(item.text);
        }
        keep(row, texts, list.place, choices);
    }

    static std::string_view kind_of(const Row& row) {
        using signalbox::detail::SettingType;
        if (row.kind == Kind::list) return "list of texts; write [\"…\", \"…\"]";
        if (row.kind == Kind::text || row.kind == Kind::choice) return "text; write it in quotes";
        switch (row.type) {
            case SettingType::boolean:
                return "true or false";
            case SettingType::duration:
                return "duration; try \"250ms\"";
            case SettingType::bytes:
                return "size; try \"512MiB\"";
            default:
                return "number; try 42";
        }
    }

    void choose(const Row& row, const std::string& text, Place place, std::vector<Choice>& choices) {
        try {
            keep(row, parse(row, text), place, choices);
        } catch (const std::invalid_argument& error) {
            complain(place, within_ + error.what());
        }
    }
    void keep(const Row& row, Value value, Place place, std::vector<Choice>& choices) {
        choices.push_back(
            {row.name, std::move(value), fmt::format("{}:{}", path_, place.line), where(place)});
    }

    void read_listener(const std::string& name, std::size_t index, Place place, const Node& node,
                       Layer& layer) {
        static const Rows rows = [] {
            Rows all;
            for (const auto& row : listener_settings())
                all.push_back(&row);
            return all;
        }();
        if (node.type != Node::Type::object)
            return complain(node.place,
                            fmt::format("listeners: {} is no listener; write {{\"address\": \"*:8080\"}}",
                                        in_words(node)));
        ListenerChoices listener{.name = name, .index = index, .place = where(place)};
        for (const Node& member : node.members)
            if (member.name == "name") {
                listener.name = member.text;
                place = member.place;
            }
        if ((!name.empty() || !listener.name.empty()) && !is_listener_name(listener.name))
            return complain(
                place, fmt::format("listeners: '{}' is no name; use a to z, digits and _, starting with a "
                                   "letter",
                                   wire::escaped(listener.name.substr(0, 80))));
        within_ = fmt::format("listeners.{}.", listener.name.empty() ? std::to_string(index) : listener.name);
        read_settings(node, {}, rows, "name", listener.choices);
        within_.clear();
        layer.listeners.push_back(std::move(listener));
    }

    const std::string& path_;
    std::string within_;  ///< "listeners.web.": what the names of settings begin with
    std::vector<Complaint> complaints_;
};

}  // namespace

bool is_listener_name(std::string_view name) {
    return !name.empty() && name.size() <= 32 && name.front() >= 'a' && name.front() <= 'z' &&
           std::all_of(name.begin(), name.end(),
                       [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

Layer read_layer(std::string_view text, const std::string& path, const Rows& rows,
                 std::vector<std::string>& errors) {
    const Document document = read_document(text);
    Reader reader(path);
    for (const Complaint& complaint : document.complaints)
        reader.complain(complaint.place, complaint.text);
    Layer layer;
    reader.read_settings(document.root, {}, rows, "listeners", layer.choices);
    for (const Node& member : document.root.members)
        if (member.name == "listeners" && member.type != Node::Type::none)
            reader.read_listeners(member, layer);
    reader.report(errors);
    return layer;
}

}  // namespace signalbox::configuration
