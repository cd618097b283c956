// Any bytes as a configuration file. Reading ends and never throws; what is refused says why, with its place in the file;
// what is taken can be printed, and what is printed says the same when it is read.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/configuration/composed.hpp"

using namespace signalbox;
using namespace signalbox::configuration;

namespace {

void check(bool condition) {
    if (!condition) std::abort();
}

const Code& code() {
    static const Code kCode = [] {
        Code made;
        made.group.name = "fuzz";
        made.listeners = {{.name = "web", .address = "*:1"}, {.name = "admin", .address = "*:2"}};
        made.any_listeners = true;
        return made;
    }();
    return kCode;
}

Composed read(std::string_view text) {
    static const Rows kRows = [] {
        Rows rows;
        for (const auto& row : group_settings())
            rows.push_back(&row);
        return rows;
    }();
    std::vector<std::string> errors;
    const Layer layer = read_layer(text, "f", kRows, errors);
    for (const std::string& error : errors)
        check(error.starts_with("f:") && error.size() < 8192);
    Composed composed = compose(code(), {layer});
    composed.errors.insert(composed.errors.begin(), errors.begin(), errors.end());
    return composed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Composed composed = read({reinterpret_cast<const char*>(data), size});
    if (!composed.errors.empty()) return 0;
    const Composed again = read(in_json(code(), composed));
    check(again.errors.empty());
    for (const auto& row : group_settings())
        check(row.get(again.group) == row.get(composed.group));
    check(again.listeners.size() == composed.listeners.size());
    for (std::size_t i = 0; i < composed.listeners.size(); ++i) {
        check(again.listeners[i].listener.name == composed.listeners[i].listener.name);
        for (const auto& row : listener_settings())
            check(row.get(again.listeners[i].listener) == row.get(composed.listeners[i].listener));
    }
    return 0;
}
