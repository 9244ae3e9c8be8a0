#pragma once

#include <natgrad/export.h>
#include <torch/optim/optimizer.h>

#include <functional>
#include <utility>

namespace natgrad {

/// The data of a step, whole or in chunks: h is the mean of what `loss(k)` answers for k = 0, ...,
/// chunks - 1. Chunks should be of equal size; where they are not, and the loss is a mean over
/// examples, answer it times (size of chunk k) · chunks / (size of the batch).
///
/// `loss(k)` is called again at trial points and for every product where there are several chunks,
/// and has to answer the same data each time. Random numbers that it draws from LibTorch's default
/// generators (dropout) are replayed.
struct NATGRAD_EXPORT Batch {
  /// The loss of a chunk, with its graph.
  using Loss = std::function<torch::Tensor(int64_t chunk)>;

  Batch() = default;
  /// In so many pieces.
  Batch(int64_t chunks, Loss loss) : chunks(chunks), loss(std::move(loss)) {}
  /// One piece.
  Batch(torch::optim::Optimizer::LossClosure closure) : chunks(1) {
    if (closure) loss = [closure = std::move(closure)](int64_t) { return closure(); };
  }

  int64_t chunks = 0;   ///< K, the number of pieces
  Loss loss = nullptr;  ///< of piece k < K

  /// Whether there is a loss.
  bool is_given() const { return loss != nullptr; }
};

/// Batches of their own for the parts of one step; what is not given is taken from `gradient`.
///
/// One batch for all is what the theory asks for: with ∇h and C from the same examples,
/// M(δ) - h ≥ -½ mean of gᵀF_R⁻g, g the score, bounds what the model can promise; with different
/// ones nothing does, and steps of many times the right length come out (Martens, section 11). A
/// smaller `curvature` batch is cheaper, a `trial` batch of its own tells what generalises (Martens
/// 2010, section 4.5; Vinyals & Povey 2012).
struct NATGRAD_EXPORT Batches {
  Batch gradient;        ///< of h and ∇h
  Batch curvature = {};  ///< of C
  Batch trial = {};      ///< of the losses that a step is judged by
};

}  // namespace natgrad
