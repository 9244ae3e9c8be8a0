#pragma once

#include <vector>

#include "fuzz/program.h"

namespace natgrad::testing::fuzz {

struct Made {
  Tensor loss;
  Term term;
};

/// A way to write a term of a loss.
struct PieceKind {
  const char* name;
  Made (*build)(Workshop& workshop, const Tensor& h, uint64_t k);
};

/// Those that natgrad reads first.
const std::vector<PieceKind>& piece_kinds();
/// How many it reads.
size_t readable_pieces();

/// By kind, for `piece_kinds`.
std::vector<PieceKind> libtorch_pieces();
std::vector<PieceKind> hand_written_pieces();
std::vector<PieceKind> marked_pieces();
std::vector<PieceKind> unreadable_pieces();

struct PenaltyKind {
  const char* name;
  Tensor (*build)(Workshop& workshop, const Tensor& parameter);
};
const std::vector<PenaltyKind>& penalty_kinds();

/// h through a linear layer, or a part of h itself: [N, outputs], 1 to 3 of them.
Tensor head(Workshop& workshop, const Tensor& h, uint64_t k, int64_t least = 1);
/// A function of elements, reduced one of several ways: mean, sum, weighted, by parts.
Tensor reduced(const Workshop& workshop, const Tensor& elements, uint64_t k);
/// ∂reduced/∂elements.
Tensor weights_of(const Workshop& workshop, const Tensor& elements, uint64_t k);

}  // namespace natgrad::testing::fuzz
