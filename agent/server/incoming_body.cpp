#include "agent/server/incoming_body.hpp"

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

namespace signalbox::server {

awaitable<std::string_view> IncomingBody::read() {
    for (;;) {
        switch (source_->take(piece_)) {
            case BodySource::Taken::piece:
                co_return piece_;
            case BodySource::Taken::end:
                co_return std::string_view();
            case BodySource::Taken::wait:
                co_await gate_.wait();
                break;
            case BodySource::Taken::refused:
                throw boost::system::system_error(boost::asio::error::invalid_argument,
                                                  "the request's body is refused");
            case BodySource::Taken::gone:
                throw boost::system::system_error(boost::asio::error::connection_reset,
                                                  "the client has gone");
        }
    }
}

}  // namespace signalbox::server
