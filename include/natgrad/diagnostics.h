#pragma once

/// The theory's claims as calls on a model, its data and its loss.
