// Bytes read and not yet used: one allocation that grows when a message needs it.
#pragma once

#include <cstring>
#include <memory>
#include <string_view>

namespace signalbox::server {

class ReadBuffer {
public:
    std::string_view unread() const { return {data_.get() + begin_, end_ - begin_}; }
    std::size_t capacity() const { return capacity_; }
    bool empty() const { return begin_ == end_; }

    void consume(std::size_t bytes) {
        begin_ += bytes;
        if (begin_ == end_) begin_ = end_ = 0;
    }

    /// Makes room for at least `least` more bytes; where to put them, and how many fit.
    std::pair<char*, std::size_t> space(std::size_t least) {
        if (capacity_ - end_ < least) make_room(least);
        return {data_.get() + end_, capacity_ - end_};
    }
    void commit(std::size_t bytes) { end_ += bytes; }

private:
    void make_room(std::size_t least) {
        const std::size_t used = end_ - begin_;
        std::size_t capacity = capacity_ ? capacity_ : kSmallest;
        while (capacity - used < least)
            capacity *= 2;
        if (capacity == capacity_) {
            std::memmove(data_.get(), data_.get() + begin_, used);
        } else {
            auto larger = std::make_unique_for_overwrite<char[]>(capacity);
            if (used) std::memcpy(larger.get(), data_.get() + begin_, used);
            data_ = std::move(larger);
            capacity_ = capacity;
        }
        begin_ = 0;
        end_ = used;
    }

    static constexpr std::size_t kSmallest = 4096;

    std::unique_ptr<char[]> data_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace signalbox::server
