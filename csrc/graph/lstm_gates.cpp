#include "graph/lstm_gates.h"

#include <torch/torch.h>

namespace natgrad::detail {
namespace {

using torch::Tensor;

struct Gates {
  Tensor i, f, g, o;  // [T, N, H]
};

Gates gates_of(const FusedLstm& lstm) {
  const auto steps = lstm.h.size(0), batch = lstm.h.size(1);
  const auto x = lstm.x.flatten(0, 1);
  auto s = lstm.b.defined() ? torch::addmm(lstm.b, x, lstm.W.t()) : x.mm(lstm.W.t());
  s.addmm_(hidden_before(lstm), lstm.V.t());
  const auto parts = s.view({steps, batch, -1}).chunk(4, 2);
  return {parts[0].sigmoid(), parts[1].sigmoid(), parts[2].tanh(), parts[3].sigmoid()};
}

/// c before each step and after the last, [T + 1, N, H].
Tensor cells_of(const FusedLstm& lstm, const Gates& gates) {
  const auto steps = lstm.h.size(0);
  auto sizes = lstm.h.sizes().vec();
  sizes[0] = steps + 1;
  auto c = torch::empty(sizes, lstm.h.options());
  c[0].copy_(lstm.first_cell);
  const auto added = gates.i * gates.g;
  const auto before = c.unbind(0), kept = gates.f.unbind(0), news = added.unbind(0);
  for (int64_t t = 0; t < steps; ++t) {
    auto after = before[t + 1];
    torch::addcmul_out(after, news[t], kept[t], before[t]);
  }
  return c;
}

}  // namespace

Tensor hidden_before(const FusedLstm& lstm) {
  const auto steps = lstm.h.size(0);
  return torch::cat({lstm.first_hidden.unsqueeze(0), lstm.h.narrow(0, 0, steps - 1)}).flatten(0, 1);
}

Tensor gate_gradients(const FusedLstm& lstm, const Tensor& of_hidden, const Tensor& of_last_hidden,
                      const Tensor& of_last_cell) {
  const auto steps = lstm.h.size(0), width = lstm.h.size(2);
  const auto gates = gates_of(lstm);
  const auto& [i, f, g, o] = gates;
  const auto c = cells_of(lstm, gates);
  const auto squashed = c.narrow(0, 1, steps).tanh();
  // ds/dc of i, f, g; ds/dh of o; dc/dh through the last tanh.
  const auto by_cell =
      torch::stack({g * i * (1 - i), c.narrow(0, 0, steps) * f * (1 - f), i * (1 - g.square())}, 2);
  const auto by_hidden = squashed * o * (1 - o), through = o * (1 - squashed.square());

  auto deltas = torch::empty({steps, lstm.h.size(1), 4 * width}, lstm.h.options());
  Tensor dh = of_last_hidden.defined() ? of_last_hidden : torch::zeros_like(lstm.first_hidden);
  Tensor dc = of_last_cell.defined() ? of_last_cell : torch::zeros_like(lstm.first_cell);
  for (int64_t t = steps - 1; t >= 0; --t) {
    if (of_hidden.defined()) dh = dh + of_hidden[t];
    dc = torch::addcmul(dc, dh, through[t]);
    const auto delta = deltas[t];
    auto cell_part = delta.narrow(1, 0, 3 * width).unflatten(1, {3, width});
    auto output_part = delta.narrow(1, 3 * width, width);
    torch::mul_out(cell_part, dc.unsqueeze(1), by_cell[t]);
    torch::mul_out(output_part, dh, by_hidden[t]);
    if (t == 0) break;
    dh = delta.mm(lstm.V);
    dc = dc * f[t];
  }
  return deltas.flatten(0, 1);
}

}  // namespace natgrad::detail
