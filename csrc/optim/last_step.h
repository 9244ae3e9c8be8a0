#pragma once

#include "detail.h"

#include <natgrad/linalg/parameters.h>

#include <vector>

namespace natgrad::detail {

/// The last accepted step, parameter by parameter: δ, to go on from it, and θ before it, to take it
/// back. There are three states: no step (a default one, or one that was taken back); a step; and a
/// step whose δ is forgotten, which can be taken back but not gone on from.
///
/// Parameters are known by identity, so that others may be frozen, unfrozen or added meanwhile; a
/// piece whose parameter has another shape, dtype or device since (`model->to()`) counts as absent.
class LastStep {
 public:
  LastStep() = default;
  /// To be called after the parameters have moved. `before`: θ before it, [P]; `delta`: what the
  /// next step goes on from, the unscaled solution δ or what the step rule kept, [P], or undefined.
  /// `memory`: what else the rule goes on from, or undefined.
  LastStep(const ParameterLayout& layout, const torch::Tensor& before, const torch::Tensor& delta,
           const torch::Tensor& memory = {});

  /// δ_prev for these parameters, [P], zero for those that did not move; undefined if none did, or
  /// if δ is forgotten.
  torch::Tensor delta(const ParameterLayout& layout) const;
  /// The rule's memory likewise.
  torch::Tensor memory(const ParameterLayout& layout) const;
  /// θ before the step, [P]; where it did not move them, the present values.
  torch::Tensor before(const ParameterLayout& layout) const;

  /// Whether these are the parameters that it moved.
  bool moved(const std::vector<torch::Tensor>& parameters) const;
  /// Whether there is a step, and nobody has written to the parameters since.
  bool can_be_taken_back() const;
  /// The parameters that it moved, and their values before it.
  std::pair<std::vector<torch::Tensor>, std::vector<torch::Tensor>> moved_from() const;
  /// Whether no bit of them changed: the step was below their rounding.
  bool is_below_rounding() const;
  /// The parameters that it moved, as far as they have not another shape, dtype or device since.
  std::vector<torch::Tensor> current_parameters() const;
  /// Whatever was written to the parameters since, they are again as the step left them.
  void put_back();
  /// From now on the step cannot be taken back.
  void keep_for_good();
  /// Forgets δ and memory; the step can still be taken back.
  void forget_delta();
  /// θ ← θ before the step, bit for bit, and forgets the step. Returns false, with nothing changed,
  /// if it cannot be taken back.
  bool take_back();

 private:
  struct Moved {
    torch::Tensor parameter, before, delta, memory;
    int64_t version;  // of the parameter after the step, to notice edits by others
    bool is_current() const;
  };
  /// Vectors of [P], as they came: for the same parameters they are answered as they are.
  struct Vectors {
    torch::Tensor delta, memory;
  };
  const Moved* find(const torch::Tensor& parameter) const;
  torch::Tensor joined(const ParameterLayout& layout, torch::Tensor Moved::*piece) const;

  std::vector<Moved> moved_;
  Vectors whole_;
};

}  // namespace natgrad::detail
