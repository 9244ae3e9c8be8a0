#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/export.h>
#include <natgrad/tensor.h>

#include <functional>
#include <string>
#include <vector>

namespace natgrad {

/// What ∇h of one batch and C of another make of a step.
struct NATGRAD_EXPORT MixedBatchesReport {
  /// Two of the batches.
  struct Pair {
    int64_t gradient = 0;   ///< which batch ∇h is of
    int64_t curvature = 0;  ///< which batch C is of
    double bound = 0;       ///< on M - h, of the gradient's batch
    double same = 0;        ///< M(δ) - h as the model promises it, C of the same batch
    double mixed = 0;       ///< the same, C of the other
    double growth = 0;      ///< ‖δ‖ of the mixed step over that of the same batch's
  };
  std::string curvature;      ///< as it describes itself
  std::vector<Pair> pairs;    ///< all ordered pairs of batches
  int64_t same_below = 0;     ///< how many promise more than the bound, by one batch
  int64_t mixed_below = 0;    ///< how many do, by two
  double median_growth = 0;   ///< of `Pair::growth`
  double largest_growth = 0;  ///< of `Pair::growth`
  /// The claim: the bound holds wherever both come from one batch.
  bool holds = false;

  /// The counts and the verdict.
  std::string message() const;
};

/// Why ∇h and C should come from the same examples (Martens, "New perspectives", section 11;
/// Martens & Sutskever 2012): for each two of the batches k ≠ l, the steps
///
///     δ = -(C_k + λI)⁻¹∇h_k  and  δ = -(C_l + λI)⁻¹∇h_k
///
/// at one θ, what they promise without the damping, ∇h_kᵀδ + ½δᵀCδ, against the bound -½ Σ s
/// gᵀF_R⁻g of batch k, and how much longer the second is. With C of the same batch the bound holds
/// always; with another's it fails, and the more often the fewer examples a parameter has.
///
/// `loss(k)` answers the loss of batch k at the present parameters, k < `batches`. Where C is
/// singular and λ = 0 the inverse is that on its range (eigenvalues of less than 1e-10 of the
/// largest count as zero). P products a batch and P³ operations, for P of at most 2048; batches²
/// pairs. Throws `c10::ValueError` for fewer than 2 batches, λ < 0 and more parameters, and as
/// `bound` does.
NATGRAD_EXPORT MixedBatchesReport
mixed_batches(const std::vector<torch::Tensor>& parameters,
              const std::function<torch::Tensor(int64_t batch)>& loss, int64_t batches,
              double lambda = 0, const Curvature& curvature = Fisher());

}  // namespace natgrad
