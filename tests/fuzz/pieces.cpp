#include "fuzz/pieces.h"

#include <natgrad/graph/marks.h>
#include <torch/torch.h>

namespace natgrad::testing::fuzz {

namespace F = torch::nn::functional;

Tensor head(Workshop& w, const Tensor& h, uint64_t k, int64_t least) {
  const auto outputs = std::max(least, 1 + static_cast<int64_t>(k / 5 % 3));
  if (k % 4 == 0 && h.size(1) >= least) return h.narrow(1, 0, std::min(h.size(1), outputs));
  if (k % 4 == 1)
    return F::linear(h, w.parameter({outputs, h.size(1)}, k), w.parameter({outputs}, k));
  return F::linear(h, w.parameter({outputs, h.size(1)}, k));
}

Tensor reduced(const Workshop& w, const Tensor& e, uint64_t k) {
  std::vector<int64_t> rows(e.dim(), 1);
  if (e.dim() > 0) rows[0] = e.size(0);
  switch (k % 7) {
    case 0:
      return e.mean();
    case 1:
      return e.sum();
    case 2:
      return (w.positive(e.sizes(), k) * e).mean();
    case 3:
      return e.reshape({e.size(0), -1}).sum(1).mean();
    case 4: {
      const auto weights = w.positive(rows, k);
      return (weights * e).sum() / weights.sum();
    }
    case 5:
      return e.reshape({-1}).dot(w.positive({e.numel()}, k));
    default:
      return (e / static_cast<double>(w.examples())).sum();
  }
}

Tensor weights_of(const Workshop& w, const Tensor& elements, uint64_t k) {
  const auto e = torch::ones_like(elements.detach()).requires_grad_();
  return torch::autograd::grad({reduced(w, e, k)}, {e})[0];
}

const std::vector<PieceKind>& piece_kinds() {
  static const auto all = [] {
    std::vector<PieceKind> kinds;
    for (const auto& group :
         {libtorch_pieces(), hand_written_pieces(), marked_pieces(), unreadable_pieces()}) {
      kinds.insert(kinds.end(), group.begin(), group.end());
    }
    return kinds;
  }();
  return all;
}

size_t readable_pieces() { return piece_kinds().size() - unreadable_pieces().size(); }

const std::vector<PenaltyKind>& penalty_kinds() {
  using T = const Tensor&;
  static const std::vector<PenaltyKind> kinds = {
      {"sum of squares", [](Workshop&, T p) { return p.pow(2).sum(); }},
      {"mean of p * p", [](Workshop&, T p) { return (p * p).mean(); }},
      {"sum of sizes", [](Workshop&, T p) { return p.abs().sum(); }},
      {"sum of fourth powers", [](Workshop&, T p) { return p.pow(4).sum(); }},
      {"norm", [](Workshop&, T p) { return p.norm(); }},
      {"log of squares", [](Workshop&, T p) { return torch::log1p(p.square()).sum(); }},
      {"distance from a start",
       [](Workshop& w, T p) { return F::mse_loss(p, w.constant(p.sizes(), 5)); }},
      {"marked square of the sum",
       [](Workshop&, T p) { return natgrad::penalty(p.sum().square()); }},
      {"marked tanh of a product",
       [](Workshop&, T p) { return natgrad::penalty(p.reshape(-1).dot(p.reshape(-1)).tanh()); }},
  };
  return kinds;
}

}  // namespace natgrad::testing::fuzz
