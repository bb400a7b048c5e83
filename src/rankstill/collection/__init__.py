"""Texts and judgements: loaders, splits, the store on disk."""
