#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>
#include <natgrad/linalg/parameters.h>
#include <natgrad/linalg/random.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace natgrad {

class LossGraph;

namespace detail {
struct LossGraphState;
LossGraphState& state_of(const LossGraph& graph);
}  // namespace detail

/// When a loss's terms are read off its graph.
enum class Terms {
  Required,  ///< at once: a loss that cannot be read throws
  WhenAsked  ///< when something asks for them: until then any loss will do
};

/// What becomes of a loss that cannot be read.
enum class Unread {
  Throw,      ///< it is refused, with the reason and what to write instead
  Substitute  ///< it is taken as a function of outputs of the network that the user did not mark
};

/// One term of the loss, as its graph tells it.
struct NATGRAD_EXPORT LossTerm {
  size_t output = 0;  ///< which of the graph's outputs is its z
  /// r(·|z); of a loss of the user's own, the distribution named with `outputs`, or null.
  std::shared_ptr<const Likelihood> likelihood;
  torch::Tensor weights;   ///< s, broadcastable to z; undefined for a loss of the user's own
  torch::Tensor gradient;  ///< ∂(term)/∂z, shaped like z; undefined if it vanishes

  /// Whether it is a loss of the user's own, marked by `outputs`.
  bool is_own() const { return !weights.defined(); }
};

/// What the optimizer knows of one loss: h(θ) = Σ terms L(y, z), z = f(x, θ), read off the autograd
/// graph.
///
/// ```cpp
/// auto graph = natgrad::LossGraph(loss, model->parameters());
/// auto G = natgrad::gauss_newton(graph);
/// ```
///
/// h may also hold penalties on θ: they are part of ∇h, and have a Hessian of their own.
///
/// A curvature of one's own is written with these products, as the Gauss-Newton matrix
///
/// ```cpp
/// auto jv = graph.multiply_jacobian(v);
/// auto Gv = graph.multiply_jacobian_transposed(graph.multiply_loss_hessian(jv));
/// ```
///
/// Built by one pass from the loss to its terms; ∇h costs one backward pass when it is first asked
/// for. `backward()` must not have freed the graph; `.grad` is not touched, and the user's own
/// `backward()` may run at any time, with what it retains. A copy shares the graph.
///
/// Throws `c10::Error` if the loss is not a real scalar with a graph; and, now or when its terms
/// are first asked for, if parts of it are no term that natgrad can read (naming the node and the
/// way out) or it is not linear in its terms. A graph that has been freed throws with the first
/// pass through what is gone.
class NATGRAD_EXPORT LossGraph {
 public:
  /// A parameter that is frozen or takes no part counts as constant: its gradient, and its rows of
  /// every curvature, are zero. `streams`: where the random probes come from; a generator stands
  /// for those of its seed.
  ///
  /// With `Unread::Substitute` a loss that cannot be read has terms of its own all the same: z is
  /// what goes into its softmax or sigmoid, with that distribution, or else the results of the
  /// first ops below it that have parameters. `substitutes` then tells the reason.
  LossGraph(const torch::Tensor& loss, std::vector<torch::Tensor> parameters,
            RandomStreams streams = RandomStreams(), Terms terms = Terms::Required,
            Unread unread = Unread::Throw);

  /// The same with the random streams of seed 0.
  LossGraph(const torch::Tensor& loss, std::vector<torch::Tensor> parameters, Terms terms)
      : LossGraph(loss, std::move(parameters), RandomStreams(), terms) {}

  /// Whether the terms can be read. Where not, everything below but `parameters`, `gradient` and
  /// `generator` throws the reason. Itself it throws what is no property of the loss, such as a
  /// graph that has been freed or memory that has run out.
  bool is_readable() const;
  /// Why the loss cannot be read, where its terms are substitutes; empty where they were read.
  const std::string& substitutes() const;
  /// The terms that the loss is a sum of.
  const std::vector<LossTerm>& terms() const;
  /// How many outputs z the terms have; terms with the same z share one.
  size_t outputs() const;
  /// θ, as it was given.
  const ParameterLayout& parameters() const;
  /// ∇h(θ) at the parameters of the forward pass, [P]: a backward pass on first use, then kept.
  const torch::Tensor& gradient() const;
  /// A generator for the random probes of one purpose: the same numbers with every call, whatever
  /// else has been drawn.
  at::Generator generator(Purpose purpose) const;
  /// J v, J = ∂z/∂θ, for v of [P]: one tensor per output, shaped like its z. About a forward pass,
  /// and with the first product one backward pass more. Throws, naming the op, if some op's
  /// backward is not differentiable; on the CPU at once, elsewhere with every tenth product.
  std::vector<torch::Tensor> multiply_jacobian(const torch::Tensor& v) const;
  /// Jᵀu, [P]: one backward pass. u has one tensor per output; an undefined one counts as zero.
  torch::Tensor multiply_jacobian_transposed(const std::vector<torch::Tensor>& u) const;
  /// Throws if any J v since the last call was wrong.
  void verify() const;
  /// ∇²_z of the loss times v: v and the result have one tensor per output. By double backward on
  /// the loss's own nodes, each with all other terms' inputs held fixed; no likelihood is asked.
  /// Throws `c10::NotImplementedError` if a backward of the user's own loss is not differentiable.
  std::vector<torch::Tensor> multiply_loss_hessian(const std::vector<torch::Tensor>& v) const;
  /// Whether the loss has penalties: parts that depend on parameters past all terms.
  bool has_penalties() const;
  /// How many of the terms' weights are negative: Gauss-Newton is then indefinite.
  int64_t negative_weights() const;
  /// The number of examples of a term: as its likelihood has it, else the length of dimension 0.
  int64_t examples_of(const LossTerm& term) const;
  /// The number of examples of the terms (the largest, if they differ). Throws, saying what to do,
  /// if the loss cannot be read.
  int64_t examples() const;
  /// How many different examples all terms together are about: of terms with the same inputs (heads
  /// on a trunk) the largest number, and of those with inputs of their own (micro-batches in a
  /// loop, time steps) the sum. Inputs are known by their place in memory. Throws as `examples`.
  double distinct_examples() const;

 private:
  friend detail::LossGraphState& detail::state_of(const LossGraph& graph);
  std::shared_ptr<detail::LossGraphState> state_;
};

/// What `part` answers for each term, added up by output; undefined where an output has no term.
NATGRAD_EXPORT std::vector<torch::Tensor> sum_by_output(
    const LossGraph& graph, const std::function<torch::Tensor(const LossTerm& term)>& part);

}  // namespace natgrad
