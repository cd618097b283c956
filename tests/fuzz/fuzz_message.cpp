// The mailroom's message parser and classifier, on any bytes.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/examples/mailroom/classifier.hpp"
#include "agent/examples/mailroom/message.hpp"
#include "common/wire/utf8.hpp"

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const mailroom::ParserLimits limits{.fields = 20, .parts = 10, .depth = 4, .text_bytes = 4096};
    const auto message =
        mailroom::parse_message(std::string_view(reinterpret_cast<const char*>(data), size), limits);
    require(message.fields.size() <= limits.fields);
    require(message.texts.size() + message.attachments.size() <= limits.parts + 1);
    for (const auto& field : message.fields)
        require(signalbox::wire::is_utf8(field.value));
    for (const auto& part : message.texts)
        require(signalbox::wire::is_utf8(part.text));
    require(std::isfinite(mailroom::classify(message).probability));
    return 0;
}
