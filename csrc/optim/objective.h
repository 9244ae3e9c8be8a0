#pragma once

#include <natgrad/graph/loss_graph.h>
#include "detail.h"

#include <natgrad/curvature/curvature.h>
#include "optim/replayed_batch.h"
#include "optim/trainable.h"

#include <optional>

namespace natgrad::detail {

/// What is minimised in one step: ±h on a batch, in one piece or as the mean over its chunks, and
/// ½ w‖θ‖² on top. This is where averages over data are taken.
///
/// With one chunk its graph serves everything. With several, all but the first are evaluated, used
/// and dropped, so that the memory is that of two: ∇h costs nothing more; a product with the
/// curvature also takes a forward pass and the building of the graph again. What is only estimated
/// (the gradient's noise, a preconditioner, a damping matrix) is taken from the first.
class Objective {
 public:
  /// `stream`: which of the seed's random streams the probes are drawn from. All arguments have to
  /// outlive it.
  Objective(ReplayedBatch& batch, const std::vector<torch::optim::OptimizerParamGroup>& groups,
            const NaturalGradientOptions& system, uint64_t stream);

  enum class Gradient { Needed, NotNeeded };
  /// h, without weight decay and as the user has it; a 0-d tensor. Evaluates what ∇h and the
  /// curvature are then made of; without ∇h, of the first chunk alone.
  const torch::Tensor& evaluate(Terms terms, Gradient gradient = Gradient::Needed);
  /// What `evaluate` answered.
  const torch::Tensor& loss() const { return loss_; }
  /// What is minimised, ±h + ½ w‖θ‖².
  double value() const;
  /// The loss of a chunk that was not finite, with its graph; undefined if there was none.
  const torch::Tensor& faulty_loss() const { return faulty_loss_; }

  /// The parameters that require a gradient once the closure has been called.
  const Trainable& trainable() const { return trainable_; }
  const ParameterLayout& parameters() const { return graph_->parameters(); }
  /// The first chunk's graph, of ±h.
  const LossGraph& graph() const { return *graph_; }
  /// ∇(±h), [P], without weight decay.
  torch::Tensor gradient() const;
  /// w of each parameter, [P], or the one that all have, 0-d; undefined if all are zero.
  const torch::Tensor& weight_decay() const { return weight_decay_; }
  /// The options' C, with the Hessian of penalties and weight decay, of as many chunks as the
  /// options say.
  LinearOperator matrix() const;
  /// An estimate of the batch's gradient noise, from its first chunk.
  double noise() const;

 private:
  void read_weight_decay();
  LossGraph graph_of(int64_t chunk, const torch::Tensor& loss, Terms terms) const;
  int64_t curvature_chunks() const;
  /// C and its noise on the first chunk, made once.
  const CurvatureAt& curvature() const;
  LinearOperator matrix_of_first_chunk() const;
  LinearOperator matrix_of_chunks(int64_t chunks) const;

  ReplayedBatch& batch_;
  const std::vector<torch::optim::OptimizerParamGroup>& groups_;
  const NaturalGradientOptions& system_;
  uint64_t stream_;
  at::Generator generator_;
  Trainable trainable_;
  std::optional<LossGraph> graph_;
  mutable std::optional<CurvatureAt> curvature_;
  torch::Tensor loss_, faulty_loss_, gradient_, weight_decay_;
  double sum_ = 0;  // of the chunks' losses
};

/// When a curvature has the loss read.
Terms terms_of(const Curvature& curvature);

}  // namespace natgrad::detail
