// Which words speak for spam (positive) or against it (negative), as log-odds.
#pragma once

#include <array>
#include <string_view>

namespace mailroom {

struct WordWeight {
    std::string_view word;
    double weight;
};

/// Sorted by word, for binary search.
inline constexpr auto kWordWeights = std::to_array<WordWeight>({
    {"account", 0.3},      {"act", 0.5},
    {"agenda", -1.4},      {"amazing", 1.0},
    {"approved", 0.9},     {"attached", -0.4},
    {"award", 0.9},        {"bank", 0.6},
    {"beneficiary", 2.4},  {"bitcoin", 1.9},
    {"bonus", 1.5},        {"branch", -0.9},
    {"build", -0.9},       {"buy", 0.7},
    {"casino", 3.0},       {"cheap", 1.4},
    {"cheers", -1.2},      {"click", 1.3},
    {"colleagues", -1.0},  {"commit", -1.4},
    {"confidential", 0.7}, {"congratulations", 1.5},
    {"credit", 0.9},       {"crypto", 1.8},
    {"deadline", -0.6},    {"deal", 0.8},
    {"dear", 0.4},         {"debt", 1.6},
    {"deploy", -1.4},      {"diff", -1.5},
    {"discount", 1.2},     {"discussion", -1.0},
    {"dollars", 1.5},      {"draft", -1.0},
    {"earn", 1.7},         {"exclusive", 1.2},
    {"expires", 0.9},      {"fortune", 1.9},
    {"free", 1.1},         {"friday", -0.5},
    {"fund", 1.1},         {"guarantee", 1.6},
    {"guaranteed", 1.8},   {"income", 1.4},
    {"inheritance", 2.6},  {"investment", 1.3},
    {"invoice", -0.2},     {"issue", -0.8},
    {"jackpot", 2.7},      {"kernel", -1.5},
    {"limited", 0.7},      {"loan", 1.7},
    {"lottery", 2.6},      {"lunch", -1.3},
    {"medication", 1.8},   {"meeting", -1.3},
    {"merge", -1.2},       {"million", 1.6},
    {"minutes", -0.5},     {"miracle", 2.0},
    {"monday", -0.6},      {"money", 1.2},
    {"notes", -0.9},       {"offer", 1.0},
    {"opportunity", 0.9},  {"password", 0.7},
    {"patch", -1.3},       {"pharmacy", 2.5},
    {"pills", 2.6},        {"please", -0.1},
    {"price", 0.5},        {"prince", 1.9},
    {"prize", 2.1},        {"profit", 1.5},
    {"project", -0.7},     {"questions", -0.5},
    {"rates", 0.7},        {"refund", 0.8},
    {"regards", -0.5},     {"release", -0.8},
    {"report", -0.4},      {"review", -0.9},
    {"reviewed", -1.0},    {"rich", 1.5},
    {"risk", 0.6},         {"sale", 0.9},
    {"schedule", -0.9},    {"scheduled", -0.7},
    {"secret", 1.1},       {"slides", -1.2},
    {"subscribe", 0.5},    {"suspended", 1.4},
    {"team", -0.7},        {"test", -0.5},
    {"thanks", -0.9},      {"thread", -0.9},
    {"ticket", -0.6},      {"tomorrow", -0.6},
    {"transfer", 0.8},     {"unlimited", 1.3},
    {"unsubscribe", 0.6},  {"urgent", 1.5},
    {"verify", 1.2},       {"viagra", 3.4},
    {"wednesday", -0.6},   {"weight", 0.8},
    {"winner", 2.2},       {"winnings", 2.5},
    {"wire", 0.7},         {"yesterday", -0.7},
});

}  // namespace mailroom
