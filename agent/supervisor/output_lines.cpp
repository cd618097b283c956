#include "agent/supervisor/output_lines.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "common/wire/readable.hpp"
#include "common/wire/utf8.hpp"

namespace signalbox::supervisor {

OutputLines::OutputLines(int descriptor) : descriptor_(descriptor) {
    ::fcntl(descriptor_, F_SETFL, ::fcntl(descriptor_, F_GETFL) | O_NONBLOCK);
}

OutputLines::~OutputLines() {
    close();
}

OutputLines::OutputLines(OutputLines&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      begun_(std::move(other.begun_)),
      last_(std::move(other.last_)) {}

OutputLines& OutputLines::operator=(OutputLines&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(begun_, other.begun_);
    std::swap(last_, other.last_);
    return *this;
}

void OutputLines::close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
}

void OutputLines::tell(std::string_view line, const Handler& handle) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::string safe = wire::escaped(line);
    if (!safe.empty()) last_ = safe;
    handle(safe);
}

void OutputLines::take(std::string_view bytes, const Handler& handle) {
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        const bool whole = end != std::string_view::npos;
        begun_.append(bytes.substr(0, end));
        bytes.remove_prefix(whole ? end + 1 : bytes.size());
        while (begun_.size() > kLongestLine) {
            const std::size_t part = std::max<std::size_t>(wire::utf8_prefix(begun_, kLongestLine).size(), 1);
            tell(std::string_view(begun_).substr(0, part), handle);
            begun_.erase(0, part);
        }
        if (!whole) return;
        tell(begun_, handle);
        begun_.clear();
    }
}

/// False: there is no more for now.
bool OutputLines::read_some(const Handler& handle) {
    std::array<char, 16 << 10> bytes;
    const ssize_t length = ::read(descriptor_, bytes.data(), bytes.size());
    if (length > 0) {
        take({bytes.data(), static_cast<std::size_t>(length)}, handle);
        return true;
    }
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    finish_line(handle);
    close();
    return false;
}

void OutputLines::finish_line(const Handler& handle) {
    if (begun_.empty()) return;
    tell(begun_, handle);
    begun_.clear();
}

void OutputLines::read(const Handler& handle) {
    for (std::size_t round = 0; descriptor_ >= 0 && round < kBytesAtOnce / (16 << 10); ++round)
        if (!read_some(handle)) return;
}

void OutputLines::finish(const Handler& handle) {
    // A pipe holds at most 1 MiB, unless somebody goes on writing.
    for (std::size_t round = 0; descriptor_ >= 0 && round < (1 << 20) / (16 << 10); ++round)
        if (!read_some(handle)) break;
    finish_line(handle);
    close();
}

}  // namespace signalbox::supervisor
