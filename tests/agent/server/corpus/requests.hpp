// Requests with the status that answers them, for a listener with kCorpusLimits and test_router().
#pragma once

#include <string>
#include <vector>

#include "signalbox/group.hpp"

inline constexpr signalbox::HttpLimits kCorpusLimits{.header = signalbox::Bytes{4096},
                                                     .body = signalbox::Bytes{1000}};

struct CorpusRow {
    const char* name;
    std::string bytes;
    int status;  ///< 200: accepted
};

const std::vector<CorpusRow>& request_corpus();
