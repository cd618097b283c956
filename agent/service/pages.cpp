#include "agent/service/pages.hpp"

#include "agent/service/metrics_text.hpp"
#include "agent/service/page.hpp"

namespace signalbox::service {

std::optional<Page> Pages::get(std::string_view path) {
    if (path == "/") return front();
    if (path == "/metrics")
        return Page{"text/plain; version=0.0.4; charset=utf-8",
                    metrics_text(feeds_.totals(), feeds_.catalogue())};
    if (path == "/healthz") return Page{"text/plain; charset=utf-8", "ok\n"};
    return {};
}

const Page& Pages::front() {
    if (front_tick_ != feeds_.base_tick()) {
        front_tick_ = feeds_.base_tick();
        front_ = {"text/html; charset=utf-8", front_page(view_, feeds_)};
    }
    return front_;
}

}  // namespace signalbox::service
