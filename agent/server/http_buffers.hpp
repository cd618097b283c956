// What an HTTP connection reads into and writes from. When it ends, the next one of the worker gets it: its memory is warm,
// and a connection with one request allocates next to nothing.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/server/read_buffer.hpp"
#include "signalbox/http.hpp"

namespace signalbox::server {

struct HttpBuffers {
    ReadBuffer input;
    Request request;
    std::string head;
    std::string what;

    void clear() {
        input.consume(input.unread().size());
        for (std::string* text : {&request.method, &request.target, &request.path, &request.query,
                                  &request.body, &request.peer, &head, &what})
            text->clear();
        request.version = 11;
        request.headers.clear();
        request.tls.reset();
        request.parameters.clear();
    }
};

/// Of a worker; the event loop's.
class SpareHttpBuffers {
public:
    std::unique_ptr<HttpBuffers> take() {
        if (spare_.empty()) return std::make_unique<HttpBuffers>();
        auto buffers = std::move(spare_.back());
        spare_.pop_back();
        return buffers;
    }
    /// Kept, unless there are enough, or it has grown large.
    void give_back(std::unique_ptr<HttpBuffers> buffers) {
        if (spare_.size() == kMost || buffers->input.capacity() > kLargest ||
            buffers->head.capacity() > kLargest || buffers->request.body.capacity() > kLargest)
            return;
        buffers->clear();
        spare_.push_back(std::move(buffers));
    }

private:
    static constexpr std::size_t kMost = 32;
    static constexpr std::size_t kLargest = 16 * 1024;

    std::vector<std::unique_ptr<HttpBuffers>> spare_;
};

}  // namespace signalbox::server
