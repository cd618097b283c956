// An encoded message, shared by everyone it is sent to.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace signalbox::service {

class Frame {
public:
    Frame() = default;
    explicit Frame(std::string text) {
        const auto kept = std::make_shared<const std::string>(std::move(text));
        text_ = *kept;
        memory_ = kept;
    }
    /// `text` lies in `memory`.
    Frame(std::shared_ptr<const void> memory, std::string_view text)
        : memory_(std::move(memory)), text_(text) {}

    std::string_view text() const { return text_; }
    std::size_t size() const { return text_.size(); }
    explicit operator bool() const { return memory_ != nullptr; }

private:
    std::shared_ptr<const void> memory_;
    std::string_view text_;
};

}  // namespace signalbox::service
