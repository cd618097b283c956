// Why a request is not answered by its handler.
#pragma once

namespace signalbox::server {

struct Refusal {
    int status = 0;  ///< 0: it is not refused
    const char* reason = "";
};

}  // namespace signalbox::server
