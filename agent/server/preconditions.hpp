// Whether a request is to be carried out at all (RFC 9110, section 13).
#pragma once

#include <ctime>
#include <string>

#include "signalbox/http.hpp"

namespace signalbox::server {

/// What tells one version of a representation from another.
struct Validators {
    std::string tag;  ///< of an ETag field, strong: "\"5f-1a\""
    std::time_t modified = 0;
};

enum class Verdict {
    proceed,
    not_modified,  ///< 304
    failed,        ///< 412
};

/// If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since of a GET or HEAD request, in the order of
/// section 13.2.2. A date that is none counts as not there.
Verdict check_preconditions(const Headers& request, const Validators& current);

/// Whether a Range field counts: there is no If-Range, or it names the current version (section 13.1.5). Weak
/// tags never do.
bool range_counts(const Headers& request, const Validators& current);

}  // namespace signalbox::server
