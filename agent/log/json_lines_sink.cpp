#include <nlohmann/json.hpp>
#include <stdexcept>

#include "agent/log/rotating_file.hpp"
#include "common/wire/event_json.hpp"
#include "common/wire/readable.hpp"
#include "signalbox/log_sinks.hpp"

namespace signalbox {
namespace {

std::string line_of(const wire::Event& event) {
    nlohmann::ordered_json json = wire::event_json(event);
    json["time"] = wire::time_text(event.time, 6);
    json.erase("sequence");  // these two are the agent's to say
    json.erase("slot");
    return json.dump() + '\n';
}

}  // namespace

struct JsonLinesSink::File : log::RotatingFile {
    using RotatingFile::RotatingFile;
};

JsonLinesSink::JsonLinesSink(JsonLinesOptions options) : LogSink(options.least) {
    if (options.path.empty())
        throw std::invalid_argument("JsonLinesOptions::path: '' is no file; give the log file's path");
    file_ = std::make_unique<File>(log::RotatingFileOptions{.path = std::move(options.path),
                                                            .rotate_at_bytes = options.rotate_at_bytes,
                                                            .keep = options.keep,
                                                            .buffer_bytes = options.buffer_bytes});
}

JsonLinesSink::~JsonLinesSink() = default;

void JsonLinesSink::reopen() {
    file_->reopen();
}

std::uint64_t JsonLinesSink::waiting() const {
    return file_->waiting();
}

bool JsonLinesSink::write(const wire::Event& event) {
    return file_->append(line_of(event));
}

void JsonLinesSink::flush() {
    file_->flush();
}

}  // namespace signalbox
