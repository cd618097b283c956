// What plain HTTP gets: a page for browsers, numbers for Prometheus, a word for load balancers.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "agent/service/feeds.hpp"
#include "agent/telemetry/view.hpp"

namespace signalbox::service {

struct Page {
    std::string content_type;
    std::string body;
};

class Pages {
public:
    Pages(const telemetry::SegmentView& view, const Feeds& feeds) : view_(view), feeds_(feeds) {}

    /// None if there is no page at `path`.
    std::optional<Page> get(std::string_view path);

private:
    const Page& front();

    const telemetry::SegmentView& view_;
    const Feeds& feeds_;
    Page front_;  ///< made at most once a tick: merging a minute takes a while
    std::uint64_t front_tick_ = 0;
};

}  // namespace signalbox::service
